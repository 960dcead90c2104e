#include "framework/model/weights.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <map>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/error.h"
#include "tests/support/spoilt_checkpoint.h"

namespace tarflow {
namespace {

constexpr ModelShape kShape{8, 2, 64, 2, 1, 3, 0.1};

TEST(RandomWeights, AreThoseOfAnUntrainedCheckpoint) {
  const auto path =
      std::filesystem::path(::testing::TempDir()) / "untrained_model_2_64_2_1_0.1.pth";
  checkpoint::write_untrained(path, kShape, 7, checkpoint::DType::kFloat32);
  const auto state = checkpoint::open_tarflow(path);
  const Model read = load_model(state.tensors, state.shape, at::kCPU, ComputeType::kFloat32),
              drawn = random_weights(kShape, 7, at::kCPU, ComputeType::kFloat32),
              other = random_weights(kShape, 8, at::kCPU, ComputeType::kFloat32);
  EXPECT_TRUE(at::equal(drawn.prior_std, read.prior_std));
  for (size_t b = 0; b < 2; ++b) {
    const BlockWeights &x = drawn.blocks[b], &y = read.blocks[b];
    EXPECT_TRUE(at::equal(x.position, y.position));
    EXPECT_TRUE(at::equal(x.class_mean, y.class_mean));
    EXPECT_TRUE(at::equal(x.proj_out_weight, y.proj_out_weight));
    EXPECT_TRUE(at::equal(x.layers[0].up_bias, y.layers[0].up_bias));
    EXPECT_FALSE(at::equal(x.proj_out_weight, other.blocks[b].proj_out_weight));
  }
  EXPECT_THROW(random_weights({8, 3, 64, 2, 1, 3, 0.1}, 0, at::kCPU, ComputeType::kFloat32), Error);
}

TEST(RandomWeights, ConvertedIsLoadedInThatType) {
  const Model model = random_weights(kShape, 7, at::kCPU, ComputeType::kFloat32),
              rounded = random_weights(kShape, 7, at::kCPU, ComputeType::kBFloat16),
              converted_model = converted(model, ComputeType::kBFloat16);
  EXPECT_EQ(converted_model.compute, ComputeType::kBFloat16);
  const BlockWeights &x = converted_model.blocks[1], &y = rounded.blocks[1];
  EXPECT_TRUE(at::equal(x.layers[0].qkv_weight, y.layers[0].qkv_weight));
  EXPECT_EQ(x.proj_in_bias.scalar_type(), at::kBFloat16);
  EXPECT_EQ(x.layers[0].mlp_norm_weight.scalar_type(), at::kFloat);
  EXPECT_EQ(model.blocks[1].proj_in_bias.scalar_type(), at::kFloat) << "the original stays";
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kMost = std::numeric_limits<float>::max();  // infinite in bfloat16

// What loading says of such a file; "" where it is loaded.
std::string refusal(const checkpoint::FirstValues& first,
                    checkpoint::DType dtype = checkpoint::DType::kFloat32,
                    ComputeType compute = ComputeType::kFloat32) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "spoilt_model_2_64_2_1_0.1.pth";
  checkpoint::write_spoilt(path, kShape, dtype, first);
  const auto state = checkpoint::open_tarflow(path);
  try {
    load_model(state.tensors, state.shape, at::kCPU, compute);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Weights, ThatAreNotFiniteAreRefusedWithTensorAndCount) {
  using ::testing::HasSubstr;
  EXPECT_EQ(refusal({}), "");
  EXPECT_THAT(refusal({{"blocks.1.attn_blocks.0.mlp.main.0.bias", {kNaN}}}),
              HasSubstr("blocks.1.attn_blocks.0.mlp.main.0.bias: 1 of 256 values are NaN or "
                        "infinite"));
  EXPECT_THAT(refusal({{"blocks.0.pos_embed", {0, -kInfinite, kNaN}}}),
              HasSubstr("blocks.0.pos_embed: 2 of 1024 values"));
  EXPECT_THAT(refusal({{"blocks.0.class_embed", {kNaN}}}),
              HasSubstr("blocks.0.class_embed: 1 of 192 values are NaN or infinite"));
  EXPECT_THAT(refusal({{"blocks.0.attn_blocks.0.attention.norm.weight", {kInfinite}}},
                      checkpoint::DType::kBFloat16),
              HasSubstr("attention.norm.weight: 1 of 64 values"));
  const std::string two = refusal({{"blocks.0.proj_in.weight", {kNaN}}, {"var", {kInfinite}}});
  EXPECT_THAT(two, HasSubstr("var: 1 of 192 values are NaN or infinite"));
  EXPECT_THAT(two, HasSubstr("blocks.0.proj_in.weight: 1 of 768 values"));
}

TEST(Weights, ANegativeVarianceIsRefused) {
  EXPECT_THAT(refusal({{"var", {-1e-6f, -2}}}),
              ::testing::HasSubstr("var: 2 of 192 values are negative"));
  EXPECT_EQ(refusal({{"var", {0, 1e-30f}}}), "");
}

TEST(Weights, ThatOverflowInTheComputeTypeAreRefusedThere) {
  using ::testing::HasSubstr;
  const checkpoint::FirstValues huge = {{"blocks.0.attn_blocks.0.attention.qkv.weight", {kMost}}};
  const std::string expected =
      "blocks.0.attn_blocks.0.attention.qkv.weight: 1 of 12288 values are too large for bfloat16";
  EXPECT_EQ(refusal(huge), "");
  EXPECT_THAT(refusal(huge, checkpoint::DType::kFloat32, ComputeType::kBFloat16),
              HasSubstr(expected));
  EXPECT_THAT(refusal(huge, checkpoint::DType::kBFloat16), HasSubstr("are NaN or infinite"))
      << "the file's own rounding";
  EXPECT_THAT(refusal({{"blocks.1.class_embed", {kMost, 0, 0}}}), ::testing::IsEmpty());

  Model model = random_weights(kShape, 7, at::kCPU, ComputeType::kFloat32);
  model.blocks[0].layers[0].qkv_weight[0][0] = kMost;
  try {
    converted(model, ComputeType::kBFloat16);
    ADD_FAILURE() << "converted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(expected));
  }
}

// Every tensor of a checkpoint but `var` and the mask, once, under its name.
TEST(WeightsList, IsThatOfTheCheckpoint) {
  for (const int classes : {0, 3}) {
    ModelShape shape = kShape;
    shape.classes = classes;
    shape.layers = 2;
    const Model model = random_weights(shape, 7, at::kCPU, ComputeType::kBFloat16);
    std::map<std::string, std::vector<int64_t>> listed = {{"var", model.prior_std.sizes().vec()}};
    int64_t bytes = static_cast<int64_t>(model.prior_std.nbytes());
    for (int b = 0; b < shape.blocks; ++b) {
      const BlockWeights& block = model.blocks[static_cast<size_t>(b)];
      bytes += static_cast<int64_t>(block.class_mean.nbytes());
      for_each_tensor(block, [&](const std::string& name, const at::Tensor& tensor,
                                 WeightKind kind) {
        if (!tensor.defined()) {
          EXPECT_EQ(name, "class_embed");
          return;
        }
        EXPECT_EQ(tensor.scalar_type(), kind == WeightKind::kLinear ? at::kBFloat16 : at::kFloat);
        std::vector<int64_t> sizes = tensor.sizes().vec();
        if (kind == WeightKind::kClass) sizes.insert(sizes.begin() + 1, 1);
        EXPECT_TRUE(listed.emplace("blocks." + std::to_string(b) + "." + name, sizes).second);
        bytes += static_cast<int64_t>(tensor.nbytes());
      });
    }
    std::map<std::string, std::vector<int64_t>> expected;
    for (const checkpoint::ExpectedTensor& tensor : checkpoint::expected_tensors(shape))
      if (tensor.required) expected.emplace(tensor.name, tensor.shape);
    EXPECT_EQ(listed, expected);
    EXPECT_EQ(weight_bytes(shape, ComputeType::kBFloat16), bytes);
  }
}

}  // namespace
}  // namespace tarflow
