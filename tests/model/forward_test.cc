#include "framework/model/forward.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "framework/model/patchify.h"
#include "framework/tensor/device.h"
#include "framework/tensor/memory.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

at::Tensor some_images(const ModelShape& shape, int64_t count) {
  return normal_noise(9, 0, count, 3, shape.image_size * shape.image_size, at::kCPU)
      .view({count, 3, shape.image_size, shape.image_size});
}

TEST(ForwardTest, LinearFlowInClosedForm) {
  const LinearFlow flow = linear_flow(kSmallShape, 1);
  const at::Tensor x = patchify(some_images(kSmallShape, 2), 2);
  const BlockForward result = block_forward(flow.model, flow.model.blocks[0], x, {});
  EXPECT_TRUE(at::allclose(flow.solve(result.z), x, 1e-5, 1e-5));
  EXPECT_TRUE(at::equal(result.logdet, at::zeros({2})));
}

TEST(ForwardTest, EachTokenSeesOnlyThoseBefore) {
  const Model model = random_model(kSmallShape, 2);
  const BlockWeights& block = model.blocks[0];
  at::Tensor x = patchify(some_images(kSmallShape, 1), 2);
  const at::Tensor before = block_outputs(model, block, x, {3});
  const int64_t changed = 7;
  x = x.clone();
  x.select(1, changed).add_(1);
  const at::Tensor after = block_outputs(model, block, x, {3});
  EXPECT_TRUE(at::allclose(after.slice(1, 0, changed), before.slice(1, 0, changed), 0, 1e-6));
  EXPECT_FALSE(at::allclose(after.select(1, changed), before.select(1, changed), 0, 1e-3));
}

TEST(ForwardTest, LogDeterminantIsThatOfTheJacobian) {
  ModelShape shape = kSmallShape;
  shape.image_size = 4;
  shape.blocks = 1;
  const Model model = random_model(shape, 3);
  const at::Tensor images = some_images(shape, 1);
  const int64_t pixels = images.numel();
  const double step = 1e-2;
  at::Tensor jacobian = at::empty({pixels, pixels}, at::kDouble);
  for (int64_t i = 0; i < pixels; ++i) {
    at::Tensor up = images.clone(), down = images.clone();
    up.view({-1})[i] += step;
    down.view({-1})[i] -= step;
    const at::Tensor difference = forward(model, up, {1}).z - forward(model, down, {1}).z;
    jacobian.select(1, i).copy_(
        unpatchify(difference, shape.patch_size).view({-1}).to(at::kDouble) / (2 * step));
  }
  const double expected =
      std::get<1>(at::linalg_slogdet(jacobian)).item<double>() / static_cast<double>(pixels);
  EXPECT_NEAR(forward(model, images, {1}).logdet.item<double>(), expected, 2e-4);
}

TEST(ForwardTest, GradientIsThatOfTheLoss) {
  const Model model = random_model(kSmallShape, 4);
  const at::Tensor images = some_images(kSmallShape, 3);
  const Labels labels = {0, 4, -1};
  const at::Tensor gradient = loss_gradient(model, images, labels);
  const at::Tensor direction = some_images(kSmallShape, 6).slice(0, 3);
  const double step = 1e-3;
  const at::Tensor slope = (sample_loss(forward(model, images + step * direction, labels)) -
                            sample_loss(forward(model, images - step * direction, labels))) /
                           (2 * step);
  const at::Tensor expected = (gradient * direction).sum(at::IntArrayRef{1, 2, 3});
  EXPECT_TRUE(at::allclose(slope, expected, 2e-2, 1e-4)) << slope << expected;
}

// Long enough for the backward pass of attention to be divided among thread blocks.
TEST(ForwardTest, GradientHasTheSameBitsEveryTimeOnCuda) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  ModelShape shape = kSmallShape;
  shape.image_size = 64;
  shape.channels = 128;
  for (const ComputeType compute : {ComputeType::kBFloat16, ComputeType::kFloat32}) {
    const Model model = random_model(shape, 11, device_from("cuda"), compute);
    const at::Tensor images = some_images(shape, 8).to(model.device);
    const Labels labels = {0, 1, 2, 3, 4, 0, 1, 2};
    const at::Tensor first = loss_gradient(model, images, labels);
    for (int again = 0; again < 5; ++again)
      EXPECT_TRUE(at::equal(loss_gradient(model, images, labels), first)) << to_string(compute);
  }
  EXPECT_FALSE(at::globalContext().deterministicAlgorithms());
}

TEST(ForwardTest, GradientLeavesTheEnvironmentAlone) {
  const char* const before = std::getenv("CUBLAS_WORKSPACE_CONFIG");
  const std::string kept = before ? before : "";
  loss_gradient(random_model(kSmallShape, 5), some_images(kSmallShape, 1), {0});
  const char* const after = std::getenv("CUBLAS_WORKSPACE_CONFIG");
  EXPECT_EQ(after != nullptr, before != nullptr);
  EXPECT_EQ(std::string(after ? after : ""), kept);
}

TEST(ForwardTest, GradientOfOneSampleIsItsOwn) {
  const Model model = random_model(kSmallShape, 5);
  const at::Tensor images = some_images(kSmallShape, 4);
  const Labels labels = {0, 1, 2, 3};
  const at::Tensor all = loss_gradient(model, images, labels);
  const at::Tensor third = loss_gradient(model, images.slice(0, 2, 3), {2});
  EXPECT_TRUE(at::allclose(all.slice(0, 2, 3), third, 1e-4, 1e-6));
}

TEST(ForwardTest, DenoisingStepHasThePublishedSize) {
  const Model model = random_model(kSmallShape, 6);
  const at::Tensor images = some_images(kSmallShape, 1);
  const at::Tensor gradient = at::ones_like(images);
  const double step = 0.5 * 3 * 8 * 8 * 0.1 * 0.1;
  EXPECT_TRUE(at::allclose(self_denoise(model, images, gradient, 0.5), images - step, 1e-6, 1e-6));
}

TEST(ForwardTest, LabelsOutsideTheClassesAreRefused) {
  const Model model = random_model(kSmallShape, 7);
  EXPECT_THROW(forward(model, some_images(kSmallShape, 1), {5}), Error);
  EXPECT_THROW(forward(model, some_images(kSmallShape, 1), {-2}), Error);
  ModelShape unconditional = kSmallShape;
  unconditional.classes = 0;
  EXPECT_THROW(forward(random_model(unconditional, 7), some_images(unconditional, 1), {0}), Error);
}

TEST(ForwardTest, NoLabelIsTheMeanOverClasses) {
  const Model model = random_model(kSmallShape, 8);
  const at::Tensor images = some_images(kSmallShape, 2);
  EXPECT_TRUE(
      at::allclose(forward(model, images, {}).z, forward(model, images, {-1, -1}).z, 0, 1e-6));
}

TEST(ForwardTest, BFloat16IsCloseAndKeepsFloatOutputs) {
  const Model exact = random_model(kSmallShape, 10);
  const Model rounded = random_model(kSmallShape, 10, at::kCPU, ComputeType::kBFloat16);
  const at::Tensor images = some_images(kSmallShape, 2);
  const at::Tensor expected = forward(exact, images, {1, 2}).z,
                   got = forward(rounded, images, {1, 2}).z;
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  const double relative = ((got - expected).norm() / expected.norm()).item<double>();
  EXPECT_LT(relative, 3e-2);
  EXPECT_GT(relative, 1e-5);  // it did compute in bfloat16
}

// Each block is computed again for its derivative, and only its input is kept until then.
TEST(ForwardTest, GradientMemoryDoesNotGrowWithBlocks) {
  const auto peak = [](int blocks) {
    const Model model = random_model({16, 2, 128, blocks, 2, 0, 0.1}, 9);
    const at::Tensor images = at::ones({4, 3, 16, 16});
    const MemoryMeter meter(at::kCPU);
    loss_gradient(model, images, {});
    return meter.peak();
  };
  const int64_t input = 4 * 3 * 16 * 16 * 4;  // bytes of a block's input
  const int64_t two = peak(2), eight = peak(8);
  EXPECT_GT(two, 50 * input) << "activations are what counts";
  EXPECT_LE(eight, two + 7 * input);
}

}  // namespace
}  // namespace tarflow
