#include "framework/checkpoint/tarflow_state.h"

#include "framework/checkpoint/writer.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;

ModelShape small_shape() {
  ModelShape shape;
  shape.image_size = 8;
  shape.patch_size = 2;
  shape.channels = 64;
  shape.blocks = 2;
  shape.layers = 1;
  shape.classes = 3;
  return shape;
}

// A state dict of small_shape() with zeros in it, changed by `change` before it is written.
class TarflowStateTest : public ::testing::Test {
 protected:
  template <typename Change>
  Checkpoint state(const Change& change, const std::string& name = "a.pth",
                   const std::string& prefix = "") {
    std::vector<ExpectedTensor> tensors = expected_tensors(small_shape());
    change(tensors);
    std::vector<TensorToWrite> written;
    for (const ExpectedTensor& tensor : tensors) {
      size_t bytes = 4;
      for (const int64_t side : tensor.shape) bytes *= static_cast<size_t>(side);
      written.push_back({prefix + tensor.name, dtype_, tensor.shape,
                         [bytes] { return std::vector<std::byte>(bytes); }});
    }
    write_checkpoint(folder_ / name, written);
    return Checkpoint::open(folder_ / name);
  }
  Checkpoint state() {
    return state([](auto&) {});
  }
  static void reshape(std::vector<ExpectedTensor>& tensors, const std::string& name,
                      std::vector<int64_t> shape) {
    for (ExpectedTensor& tensor : tensors) {
      if (tensor.name == name) tensor.shape = shape;
    }
  }
  static void remove(std::vector<ExpectedTensor>& tensors, const std::string& part) {
    std::erase_if(tensors, [&](const ExpectedTensor& tensor) {
      return tensor.name.find(part) != std::string::npos;
    });
  }

  testing::TemporaryFolder folder_;
  DType dtype_ = DType::kFloat32;
};

TEST(ModelFileName, StatesWhatTheTensorsDoNot) {
  const auto name = parse_model_filename("models/afhq_model_8_768_8_8_0.07.pth");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->dataset, "afhq");
  EXPECT_EQ(name->patch_size, 8);
  EXPECT_EQ(name->channels, 768);
  EXPECT_EQ(name->blocks, 8);
  EXPECT_EQ(name->layers, 8);
  EXPECT_DOUBLE_EQ(name->noise_std, 0.07);
  EXPECT_EQ(parse_model_filename("my_own_set_model_4_64_2_3_0.1.pth")->dataset, "my_own_set");
  EXPECT_EQ(parse_model_filename("tiny_uncond_2_64_4_2_0.10.pth")->dataset, "tiny_uncond");
}

TEST(ModelFileName, OtherNamesStateNothing) {
  for (const char* name :
       {"model.pth", "afhq_model_8_768_8_8_0.07.pt", "afhq_model_8_768_8_8.pth",
        "8_768_8_8_0.07.pth", "afhq_model_8_768_8_8_x.pth", "afhq_model_8_768_8_-8_0.07.pth",
        "afhq_model_8_768_8_8_nan.pth", "afhq_model_8_768_8_8_-0.07.pth",
        "afhq_model_8_99999999999_8_8_0.07.pth", ""}) {
    EXPECT_FALSE(parse_model_filename(name)) << name;
  }
}

TEST(ExpectedTensors, AreAllTheParametersAndTwoBuffers) {
  const ModelShape shape = small_shape();
  int64_t elements = 0;
  for (const ExpectedTensor& tensor : expected_tensors(shape)) {
    int64_t count = tensor.name == "var" || !tensor.required ? 0 : 1;
    for (const int64_t side : tensor.shape) count *= side;
    elements += count;
  }
  EXPECT_EQ(elements, shape.parameters());
}

TEST_F(TarflowStateTest, ShapeIsReadOffTheTensors) {
  EXPECT_EQ(read_model_shape(state()), small_shape());
  EXPECT_NO_THROW(check_state(state(), small_shape()));
}

TEST_F(TarflowStateTest, UnconditionalModelsHaveNoClasses) {
  const Checkpoint unconditional = state([](auto& tensors) { remove(tensors, "class_embed"); });
  const ModelShape shape = read_model_shape(unconditional);
  EXPECT_EQ(shape.classes, 0);
  EXPECT_NO_THROW(check_state(unconditional, shape));
}

TEST_F(TarflowStateTest, NoiseLevelComesFromANameThatAgrees) {
  const auto same = [](auto&) {};
  EXPECT_EQ(read_model_shape(state(same, "x_model_2_64_2_1_0.05.pth")).noise_std, 0.05);
  EXPECT_EQ(read_model_shape(state(same, "x_model_4_64_2_1_0.05.pth")).noise_std, 0);
}

TEST_F(TarflowStateTest, AttentionMaskMayBeAbsent) {
  EXPECT_NO_THROW(
      check_state(state([](auto& tensors) { remove(tensors, "attn_mask"); }), small_shape()));
}

TEST_F(TarflowStateTest, EveryWrongTensorIsListed) {
  const Checkpoint wrong = state([](auto& tensors) {
    remove(tensors, "blocks.1.proj_in.bias");
    remove(tensors, "blocks.0.attn_blocks.0.mlp.main.2.weight");
    reshape(tensors, "blocks.0.attn_blocks.0.attention.qkv.weight", {128, 64});
    reshape(tensors, "blocks.1.attn_mask", {4, 4});
    tensors.push_back({"ema.decay", {1}});
  });
  const std::string message = error_of([&] { check_state(wrong, read_model_shape(wrong)); });
  EXPECT_THAT(message, HasSubstr("5 of its tensors are wrong"));
  EXPECT_THAT(message, HasSubstr("missing: blocks.1.proj_in.bias, expected (64)"));
  EXPECT_THAT(message,
              HasSubstr("missing: blocks.0.attn_blocks.0.mlp.main.2.weight, expected (64, 256)"));
  EXPECT_THAT(
      message,
      HasSubstr("wrong shape: blocks.0.attn_blocks.0.attention.qkv.weight, expected (192, 64), "
                "found (128, 64)"));
  EXPECT_THAT(message,
              HasSubstr("wrong shape: blocks.1.attn_mask, expected (16, 16), found (4, 4)"));
  EXPECT_THAT(message, HasSubstr("unexpected: ema.decay, found (1)"));
  EXPECT_THAT(message, Not(HasSubstr("pos_embed")));
}

TEST_F(TarflowStateTest, IntegerWeightsAreWrong) {
  dtype_ = DType::kInt32;
  const Checkpoint integers = state();
  EXPECT_THAT(error_of([&] { check_state(integers, small_shape()); }),
              HasSubstr("wrong type: var, expected floating point, found int32"));
}

TEST_F(TarflowStateTest, VolumePreservingModelsAreRefusedByName) {
  const Checkpoint preserving = state([](auto& tensors) {
    for (const char* block : {"blocks.0", "blocks.1"}) {
      reshape(tensors, block + std::string(".proj_out.weight"), {12, 64});
      reshape(tensors, block + std::string(".proj_out.bias"), {12});
    }
  });
  EXPECT_THAT(error_of([&] { read_model_shape(preserving); }),
              AllOf(HasSubstr("volume-preserving"), HasSubstr("12 rows")));
}

TEST_F(TarflowStateTest, ShapesThatNoTarflowHasAreExplained) {
  const auto error = [&](const std::string& name, std::vector<int64_t> shape) {
    const Checkpoint wrong = state([&](auto& tensors) { reshape(tensors, name, shape); });
    return error_of([&] { read_model_shape(wrong); });
  };
  EXPECT_THAT(error("blocks.0.pos_embed", {15, 64}),
              HasSubstr("15 tokens, which make no square image"));
  EXPECT_THAT(error("blocks.0.pos_embed", {16}),
              HasSubstr("blocks.0.pos_embed has the shape (16)"));
  EXPECT_THAT(error("blocks.0.proj_in.weight", {64, 15}),
              HasSubstr("15 values a token, which is not 3 P^2"));
  EXPECT_THAT(error("blocks.0.proj_in.weight", {64, 16}), HasSubstr("not 3 P^2"));
  EXPECT_THAT(error("blocks.0.proj_in.weight", {63, 12}),
              HasSubstr("63 channels do not split into heads of 64"));
  EXPECT_THAT(error("blocks.0.proj_in.weight", {0, 12}), HasSubstr("has the shape (0, 12)"));
  EXPECT_THAT(error("blocks.0.class_embed", {3, 64}),
              HasSubstr("class_embed has the shape (3, 64)"));
}

TEST_F(TarflowStateTest, BlockNumbersCannotAskForMoreTensorsThanThereAre) {
  const Checkpoint wrong = state([](auto& tensors) {
    remove(tensors, "attn_blocks");
    for (int i = 0; i < 100; ++i) {
      tensors.push_back({"blocks." + std::to_string(1000 * i) + ".x", {1}});
      tensors.push_back({"blocks.0.attn_blocks." + std::to_string(1000 * i) + ".x", {1}});
    }
  });
  EXPECT_THAT(error_of([&] { read_model_shape(wrong); }), HasSubstr("101 blocks of 100 layers"));
  const Checkpoint none = state([](auto& tensors) { remove(tensors, "attn_blocks"); });
  EXPECT_THAT(error_of([&] { read_model_shape(none); }), HasSubstr("2 blocks of 0 layers"));
}

TEST_F(TarflowStateTest, StatesBelowAPrefixAreFound) {
  const Checkpoint nested = state([](auto&) {}, "a.pth", "module.");
  EXPECT_EQ(as_tarflow(nested).shape, small_shape());
  EXPECT_NE(find_state(nested).find("var"), nullptr);
}

TEST_F(TarflowStateTest, SeveralStatesAreNotGuessedAmong) {
  const Checkpoint both = state([](auto& tensors) {
    const std::vector<ExpectedTensor> copy = tensors;
    for (ExpectedTensor& tensor : tensors) tensor.name = "model." + tensor.name;
    for (const ExpectedTensor& tensor : copy)
      tensors.push_back({"ema." + tensor.name, tensor.shape});
  });
  EXPECT_THAT(error_of([&] { find_state(both); }), HasSubstr("below model., ema."));
}

TEST_F(TarflowStateTest, OtherModelsAreRefused) {
  EXPECT_THAT(error_of([] { open_tarflow(testing::fixture("zip_state_dict.pth")); }),
              AllOf(HasSubstr("holds no TarFlow"), HasSubstr("3 tensors")));
}

}  // namespace
}  // namespace tarflow::checkpoint
