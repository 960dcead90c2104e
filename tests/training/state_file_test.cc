#include "framework/training/state_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/model/forward.h"
#include "tests/training/small_training.h"

namespace tarflow::training {
namespace {

void expect_same_model(const ModelShape& shape) {
  const std::filesystem::path file =
      std::filesystem::path(::testing::TempDir()) / "tiny_model_2_64_3_2_0.10.pth";
  const ParameterLayout layout(shape);
  const at::Tensor row = some_row(layout, 5),
                   var = at::full({shape.tokens(), shape.token_width()}, 0.25);
  write_state(file, layout, row, var);
  const checkpoint::TarflowState state = checkpoint::open_tarflow(file);
  ModelShape found = state.shape;
  found.noise_std = shape.noise_std;
  EXPECT_EQ(found, shape);
  EXPECT_NE(state.tensors.find("blocks.0.attn_mask"), nullptr);
  const Model loaded = load_model(state.tensors, shape, at::kCPU, ComputeType::kFloat32),
              direct = model_of(layout, row, var, ComputeType::kFloat32);
  const at::Tensor images = some_images(shape, 2);
  EXPECT_TRUE(at::equal(forward(loaded, images, {}).z, forward(direct, images, {}).z));
  EXPECT_TRUE(at::equal(loaded.prior_std, direct.prior_std));
  std::filesystem::remove(file);
}

TEST(StateFileTest, IsTheModelThatWasTrained) {
  expect_same_model(kTinyShape);
  expect_same_model(unconditional(kTinyShape));
  expect_same_model(volume_preserving(kTinyShape));
  expect_same_model(grey(kTinyShape));
}

}  // namespace
}  // namespace tarflow::training
