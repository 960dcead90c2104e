#include "framework/core/model_filename.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarflow {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ModelFileName, StatesWhatTheTensorsDoNot) {
  const auto name = parse_model_filename("models/afhq_model_8_768_8_8_0.07.pth");
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, (ModelFileName{"afhq", 8, 768, 8, 8, 0.07}));
  EXPECT_EQ(parse_model_filename("my_own_set_model_4_64_2_3_0.1.pth")->dataset, "my_own_set");
  EXPECT_EQ(parse_model_filename("tiny_uncond_2_64_4_2_0.10.pth")->dataset, "tiny_uncond");
}

TEST(ModelFileName, CopiesAndOtherEndingsStateTheSame) {
  for (const char* ending :
       {".pth", ".pt", ".safetensors", ".PTH", " (1).pth", "(2).pth", " (12).safetensors",
        " - Copy.pth", " - Copy (2).pth", " copy.pt", " copy 3.pth", ".pth (1)", ".pth.1",
        ".pth.pth", "-1.pth", " (1) (2).pth"}) {
    const auto name = parse_model_filename(std::string("afhq_model_8_768_8_8_0.07") + ending);
    ASSERT_TRUE(name) << ending;
    EXPECT_EQ(*name, (ModelFileName{"afhq", 8, 768, 8, 8, 0.07})) << ending;
  }
  EXPECT_EQ(parse_model_filename("a_model_8_768_8_8_5e-2.pth")->noise_std, 0.05);
  EXPECT_EQ(parse_model_filename("a_model_8_768_8_8_1.pth")->noise_std, 1);
}

TEST(ModelFileName, OtherNamesStateNothing) {
  for (const char* name :
       {"model.pth", "afhq_model_8_768_8_8_0.07", "afhq_model_8_768_8_8_0.07.h5",
        "afhq_model_8_768_8_8.pth", "8_768_8_8_0.07.pth", "afhq_model_8_768_8_8_x.pth",
        "afhq_model_8_768_8_-8_0.07.pth", "afhq_model_8_768_8_8_nan.pth",
        "afhq_model_8_768_8_8_-0.07.pth", "afhq_model_8_99999999999_8_8_0.07.pth", "",
        "afhq_model_8_768_8_8_0.07.pth.txt", ".pth"}) {
    EXPECT_FALSE(parse_model_filename(name)) << name;
  }
  EXPECT_FALSE(parse_model_filename(std::string(100'000, 'a') + "_8_768_8_8_0.07.pth"));
}

TEST(ModelFileName, EveryContradictionIsNamedWithBothValues) {
  const ModelFileName name{"a", 8, 768, 8, 8, 0.07};
  ModelShape shape;
  shape.patch_size = shape.blocks = shape.layers = 8;
  shape.channels = 768;
  EXPECT_THAT(name_contradictions(name, shape, "its tensors"), IsEmpty());
  shape.noise_std = 0.1;
  shape.blocks = 7;
  shape.patch_size = 4;
  EXPECT_THAT(name_contradictions(name, shape, "its tensors"),
              ElementsAre("patch_size: 8 by its name, 4 by its tensors",
                          "blocks: 8 by its name, 7 by its tensors",
                          "noise_std: 0.07 by its name, 0.1 by its tensors"));
}

TEST(ModelFileName, UniformNoiseStandsInThePlaceOfTheLevel) {
  const auto name = parse_model_filename("imagenet64_model_2_768_8_8_uniform.pth");
  ASSERT_TRUE(name);
  EXPECT_TRUE(name->uniform);
  EXPECT_EQ(name->noise_std, 0);
  EXPECT_FALSE(parse_model_filename("afhq_model_8_768_8_8_0.07.pth")->uniform);
}

TEST(ModelFileName, ThePublishedNameIsReadBack) {
  ModelShape shape;
  shape.patch_size = shape.blocks = shape.layers = 8;
  shape.channels = 768;
  for (const double level : {0.07, 0.1, 0.0, 0.075, 1.0}) {
    shape.noise_std = level;
    const auto name = parse_model_filename(published_filename("my_set", shape, false));
    ASSERT_TRUE(name) << level;
    EXPECT_EQ(name->dataset, "my_set");
    EXPECT_EQ(name->noise_std, level);
    EXPECT_THAT(name_contradictions(*name, shape, "it"), IsEmpty());
  }
  EXPECT_EQ(published_filename("a", shape, true), "a_model_8_768_8_8_uniform.pth");
  shape.noise_std = 0.1;
  EXPECT_EQ(published_filename("a", shape, false), "a_model_8_768_8_8_0.10.pth");
}

}  // namespace
}  // namespace tarflow
