#include "framework/model/weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/error.h"

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

}  // namespace
}  // namespace tarflow
