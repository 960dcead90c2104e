#include "framework/checkpoint/untrained.h"

#include <cmath>

#include "framework/checkpoint/tarflow_state.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::Each;
using testing::error_of;
using ::testing::HasSubstr;

ModelShape shape_of(int classes) {
  ModelShape shape;
  shape.image_size = 32;
  shape.patch_size = 4;
  shape.channels = 128;
  shape.blocks = 2;
  shape.layers = 2;
  shape.classes = classes;
  return shape;
}

double rms(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += double(value) * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

float largest(const std::vector<float>& values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

class Untrained : public ::testing::TestWithParam<DType> {
 protected:
  testing::TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(DTypes, Untrained, ::testing::Values(DType::kFloat32, DType::kBFloat16),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(Untrained, IsACompleteStateDictOfItsShape) {
  for (const int classes : {0, 10}) {
    ModelShape shape = shape_of(classes);
    write_untrained(folder_ / "x_model_4_128_2_2_0.05.pth", shape, 1, GetParam());
    shape.noise_std = 0.05;
    const TarflowState state = open_tarflow(folder_ / "x_model_4_128_2_2_0.05.pth");
    EXPECT_EQ(state.shape, shape);
    for (const TensorInfo& tensor : state.tensors.tensors()) EXPECT_EQ(tensor.dtype, GetParam());
  }
}

TEST_P(Untrained, IsInitialisedAsPyTorchDoes) {
  write_untrained(folder_ / "a.pth", shape_of(10), 1, GetParam());
  const Checkpoint weights = Checkpoint::open(folder_ / "a.pth");
  const double tolerance = 0.05;  // of the rms of some thousand draws, relative
  const auto expect_uniform = [&](const std::string& name, double bound) {
    const std::vector<float> values = weights.read_f32(name);
    EXPECT_LE(largest(values), bound * 1.01) << name;
    EXPECT_NEAR(rms(values), bound / std::sqrt(3), tolerance * bound) << name;
  };
  expect_uniform("blocks.0.proj_in.weight", 1 / std::sqrt(48));
  expect_uniform("blocks.1.attn_blocks.1.attention.qkv.weight", 1 / std::sqrt(128));
  expect_uniform("blocks.1.attn_blocks.1.attention.qkv.bias", 1 / std::sqrt(128));
  expect_uniform("blocks.1.attn_blocks.1.mlp.main.2.weight", 1 / std::sqrt(512));
  expect_uniform("blocks.1.proj_out.weight", kProjOutScale / std::sqrt(128));
  EXPECT_NEAR(rms(weights.read_f32("blocks.0.pos_embed")), 0.01, 0.0005);
  EXPECT_LE(largest(weights.read_f32("blocks.0.pos_embed")), 0.0601);
  EXPECT_GT(largest(weights.read_f32("blocks.0.pos_embed")), 0.03);  // 8,192 draws reach 3 sigma
  EXPECT_NEAR(rms(weights.read_f32("blocks.0.class_embed")), 0.01, 0.001);
  EXPECT_THAT(weights.read_f32("var"), Each(1.0f));
  EXPECT_THAT(weights.read_f32("blocks.0.attn_blocks.0.mlp.norm.weight"), Each(1.0f));
  EXPECT_THAT(weights.read_f32("blocks.0.attn_blocks.0.mlp.norm.bias"), Each(0.0f));
  const std::vector<float> mask = weights.read_f32("blocks.1.attn_mask");
  for (size_t i = 0; i < mask.size(); ++i) ASSERT_EQ(mask[i], i % 64 <= i / 64 ? 1.0f : 0.0f);
}

TEST_P(Untrained, TensorsAreIndependent) {
  write_untrained(folder_ / "a.pth", shape_of(10), 1, GetParam());
  const Checkpoint weights = Checkpoint::open(folder_ / "a.pth");
  const std::vector<float> a = weights.read_f32("blocks.0.attn_blocks.0.attention.proj.weight");
  const std::vector<float> b = weights.read_f32("blocks.1.attn_blocks.0.attention.proj.weight");
  double product = 0;
  for (size_t i = 0; i < a.size(); ++i) product += double(a[i]) * b[i];
  EXPECT_LT(std::abs(product / static_cast<double>(a.size())) / (rms(a) * rms(b)),
            0.04);  // 5 sigma of 16,384
}

TEST_P(Untrained, SeedsDecideAndNothingElseDoes) {
  write_untrained(folder_ / "a.pth", shape_of(0), 1, GetParam());
  write_untrained(folder_ / "b.pth", shape_of(0), 1, GetParam());
  write_untrained(folder_ / "c.pth", shape_of(0), 2, GetParam());
  EXPECT_EQ(read_file(folder_ / "a.pth"), read_file(folder_ / "b.pth"));
  EXPECT_NE(read_file(folder_ / "a.pth"), read_file(folder_ / "c.pth"));
}

TEST(UntrainedErrors, ImpossibleShapesWriteNothing) {
  testing::TemporaryFolder folder;
  const auto error = [&](const auto& change) {
    ModelShape shape = shape_of(0);
    change(shape);
    return error_of([&] { write_untrained(folder / "a.pth", shape, 0, DType::kFloat32); });
  };
  EXPECT_THAT(error([](ModelShape& shape) { shape.channels = 100; }), HasSubstr("heads of 64"));
  EXPECT_THAT(error([](ModelShape& shape) { shape.patch_size = 5; }), HasSubstr("patches of 5"));
  EXPECT_THAT(error([](ModelShape& shape) { shape.patch_size = 0; }),
              HasSubstr("impossible shape"));
  EXPECT_THAT(error([](ModelShape& shape) { shape.classes = -1; }), HasSubstr("impossible shape"));
  EXPECT_THAT(error([](ModelShape& shape) { shape.channels = 1 << 30; }), HasSubstr("largest"));
  EXPECT_THAT(error_of([&] { write_untrained(folder / "a.pth", shape_of(0), 0, DType::kInt64); }),
              HasSubstr("int64"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(CompleteShape, TakesWhatIsOpenFromTheName) {
  const ModelShape defaults{32, 4, 128, 8, 2, 10, 0.05};
  EXPECT_EQ(complete_shape("plain.pth", {}, defaults).shape, defaults);
  EXPECT_EQ(complete_shape("afhq_model_8_64_4_2_0.07.pth", {}, defaults).shape,
            (ModelShape{32, 8, 64, 4, 2, 10, 0.07}));
  StatedShape stated;
  stated.blocks = 4;
  EXPECT_EQ(complete_shape("afhq_model_8_64_4_2_0.07.pth", stated, defaults).warning, "");
  EXPECT_EQ(complete_shape("plain.pth", stated, defaults).shape.blocks, 4);
}

TEST(CompleteShape, RefusesAContradictionWithAllValues) {
  const auto error = [](const StatedShape& stated) {
    return testing::error_of([&] { complete_shape("a_model_8_64_4_2_0.07.pth", stated, {}); });
  };
  EXPECT_THAT(error({.channels = 128, .blocks = 5}),
              ::testing::AllOf(::testing::HasSubstr("channels: 64 by its name, 128 by the options"),
                               ::testing::HasSubstr("blocks: 4 by its name, 5 by the options")));
  EXPECT_THAT(error({.noise_std = 0.1}), ::testing::HasSubstr("noise_std: 0.07 by its name"));
  EXPECT_THAT(error({.noise_std = 0}), ::testing::HasSubstr("noise_std"));
  StatedShape all{.patch_size = 8, .channels = 64, .blocks = 3, .layers = 2};
  const CompleteShape complete = complete_shape("a_model_8_64_4_2_0.07.pth", all, {});
  EXPECT_EQ(complete.shape.blocks, 3);
  EXPECT_THAT(complete.warning, ::testing::HasSubstr("blocks: 4 by its name, 3 by the options"));
  all.noise_std = 0.1;
  EXPECT_THAT(error(all), ::testing::HasSubstr("noise_std: 0.07 by its name"));
}

}  // namespace
}  // namespace tarflow::checkpoint
