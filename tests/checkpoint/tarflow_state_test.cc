#include "framework/checkpoint/tarflow_state.h"

#include "tests/checkpoint/small_state.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::small_shape;

// A state dict of small_shape() with zeros in it, changed by `change` before it is written.
class TarflowStateTest : public ::testing::Test {
 protected:
  template <typename Change>
  Checkpoint state(const Change& change, const std::string& name = "a.pth",
                   const std::string& prefix = "") {
    std::vector<ExpectedTensor> tensors = expected_tensors(small_shape());
    change(tensors);
    for (ExpectedTensor& tensor : tensors) tensor.name = prefix + tensor.name;
    return testing::write_state(folder_ / name, tensors, dtype_);
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

TEST_F(TarflowStateTest, NoiseLevelComesFromTheName) {
  const auto same = [](auto&) {};
  EXPECT_EQ(read_model_shape(state(same, "x_model_2_64_2_1_0.05.pth")).noise_std, 0.05);
  EXPECT_EQ(read_model_shape(state(same, "x.pth")).noise_std, 0);
}

TEST_F(TarflowStateTest, NamesThatContradictTheTensorsAreRefusedWithAllValues) {
  const auto same = [](auto&) {};
  EXPECT_NO_THROW(as_tarflow(state(same, "x_model_2_64_2_1_0.05 (1).pth")));
  EXPECT_THAT(
      error_of([&] { as_tarflow(state(same, "x_model_4_128_3_1_0.05.pth")); }),
      AllOf(HasSubstr("patch_size: 4 by its name, 2 by its tensors"),
            HasSubstr("channels: 128 by its name, 64 by its tensors"),
            HasSubstr("blocks: 3 by its name, 2 by its tensors"), Not(HasSubstr("layers:"))));
  const Checkpoint cut =
      state([](auto& tensors) { remove(tensors, "blocks.1."); }, "y_model_2_64_2_1_0.05.pth");
  EXPECT_THAT(error_of([&] { as_tarflow(cut); }),
              HasSubstr("blocks: 2 by its name, 1 by its tensors"));
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

TEST_F(TarflowStateTest, VolumePreservingModelsHaveOneHalfOfTheOutputs) {
  const Checkpoint preserving = state([](auto& tensors) {
    for (const char* block : {"blocks.0", "blocks.1"}) {
      reshape(tensors, block + std::string(".proj_out.weight"), {12, 64});
      reshape(tensors, block + std::string(".proj_out.bias"), {12});
    }
  });
  const ModelShape shape = read_model_shape(preserving);
  EXPECT_TRUE(shape.volume_preserving);
  EXPECT_EQ(shape.output_width(), 12);
  EXPECT_NO_THROW(check_state(preserving, shape));
  EXPECT_THAT(shape.str(), HasSubstr("volume-preserving"));
  EXPECT_EQ(shape_from_json(to_json(shape)), shape);
  EXPECT_FALSE(read_model_shape(state()).volume_preserving);
}

TEST_F(TarflowStateTest, GreyModelsHaveTokensOfPixels) {
  const Checkpoint grey = state([](auto& tensors) {
    reshape(tensors, "var", {16, 4});
    for (const std::string block : {"blocks.0", "blocks.1"}) {
      reshape(tensors, block + ".proj_in.weight", {64, 4});
      reshape(tensors, block + ".proj_out.weight", {8, 64});
      reshape(tensors, block + ".proj_out.bias", {8});
    }
  });
  const ModelShape shape = read_model_shape(grey);
  EXPECT_EQ(shape.colours, 1);
  EXPECT_EQ(shape.patch_size, 2);
  EXPECT_NO_THROW(check_state(grey, shape));
  EXPECT_EQ(shape_from_json(to_json(shape)), shape);
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
              HasSubstr("15 values a token, which is neither 3 P^2 nor P^2"));
  EXPECT_THAT(error("blocks.0.proj_in.weight", {64, 17}), HasSubstr("neither 3 P^2 nor P^2"));
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

TEST_F(TarflowStateTest, OtherModelsAreRefused) {
  EXPECT_THAT(error_of([] { open_tarflow(testing::fixture("zip_state_dict.pth")); }),
              AllOf(HasSubstr("holds no TarFlow"), HasSubstr("3 tensors")));
}

}  // namespace
}  // namespace tarflow::checkpoint
