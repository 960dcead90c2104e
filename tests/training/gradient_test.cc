#include "framework/training/gradient.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "framework/model/patchify.h"
#include "framework/tensor/memory.h"
#include "tests/training/small_training.h"

namespace tarflow::training {
namespace {

struct Whole {
  at::Tensor loss;      // mean over the images
  at::Tensor gradient;  // row
};

// The gradient of the whole model's graph at once.
Whole whole_graph(const ParameterLayout& layout, const at::Tensor& row, const at::Tensor& images,
                  const Labels& labels) {
  const at::Tensor leaf = row.detach().clone().requires_grad_(true);
  const Model shell{layout.shape(), at::kCPU, ComputeType::kFloat32, {}, {}};
  at::Tensor x = patchify(images, layout.shape().patch_size), logdet = at::zeros({images.size(0)});
  for (int b = 0; b < layout.shape().blocks; ++b) {
    const BlockWeights block = block_of(layout, b, layout.views(leaf, b));
    const BlockForward result = block_forward(shell, block, to_block_order(block, x), labels);
    x = to_block_order(block, result.z);
    logdet = logdet + result.logdet;
  }
  const at::Tensor loss = 0.5 * x.square().mean() - logdet.mean();
  return {loss.detach(), torch::autograd::grad({loss}, {leaf})[0]};
}

void expect_gradient(const ModelShape& shape, const Labels& labels) {
  const ParameterLayout layout(shape);
  const at::Tensor row = some_row(layout, 7), images = some_images(shape, 4);
  const Whole whole = whole_graph(layout, row, images, labels);
  const at::Tensor gradient = at::zeros_like(row);
  Pass pass(layout, ComputeType::kFloat32, row, row, gradient);
  std::vector<int> finished;
  const PassResult result =
      pass.run({images, labels, 0.25}, false, [&](int b) { finished.push_back(b); });
  EXPECT_EQ(finished, (std::vector<int>{2, 1, 0}));
  const double scale = whole.gradient.abs().max().item<double>();
  EXPECT_LT((gradient - whole.gradient).abs().max().item<double>(), 2e-6 * scale);
  for (int b = 0; b < shape.blocks; ++b)
    EXPECT_GT(layout.part(gradient, b).abs().max().item<double>(), 1e-4) << b;
  const double loss = (result.sums[0] - result.sums[1]).item<double>() / 4;
  EXPECT_NEAR(loss, whole.loss.item<double>(), 1e-6);
  EXPECT_NEAR(result.sums[0].item<double>(), 0.5 * result.sums[4].item<double>(), 1e-12);
}

TEST(GradientTest, BlockByBlockIsThatOfTheWholeGraph) {
  expect_gradient(kTinyShape, {0, 3, -1, 1});
  expect_gradient(kTinyShape, {});
  expect_gradient(unconditional(kTinyShape), {});
  expect_gradient(volume_preserving(kTinyShape), {0, 3, -1, 1});
  expect_gradient(grey(kTinyShape), {0, 3, -1, 1});
}

TEST(GradientTest, PartsOfABatchAddUp) {
  const ParameterLayout layout(kTinyShape);
  const at::Tensor row = some_row(layout, 7), images = some_images(kTinyShape, 4);
  const Labels labels = {0, 3, -1, 1};
  const at::Tensor whole = at::zeros_like(row), parts = at::full_like(row, 9);
  const auto nothing = [](int) {};
  Pass(layout, ComputeType::kFloat32, row, row, whole).run({images, labels, 1}, false, nothing);
  Pass pass(layout, ComputeType::kFloat32, row, row, parts);
  pass.run({images.slice(0, 0, 2), {0, 3}, 1}, false, nothing);
  pass.run({images.slice(0, 2, 4), {-1, 1}, 1}, true, nothing);
  for (int b = 0; b < kTinyShape.blocks; ++b) {
    const std::vector<at::Tensor> expected = layout.views(whole, b), found = layout.views(parts, b);
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(at::allclose(found[i], expected[i], 1e-4, 1e-5)) << layout.of_block(b)[i].name;
  }
}

TEST(GradientTest, BFloat16IsNearFloat32) {
  const ParameterLayout layout(kTinyShape);
  const at::Tensor row = some_row(layout, 7), images = some_images(kTinyShape, 4);
  const at::Tensor exact = at::zeros_like(row), rounded = at::zeros_like(row);
  const auto nothing = [](int) {};
  const Labels labels = {0, 3, -1, 1};
  Pass(layout, ComputeType::kFloat32, row, row, exact).run({images, labels, 1}, false, nothing);
  const PassResult result =
      Pass(layout, ComputeType::kBFloat16, row, row.to(at::kBFloat16), rounded)
          .run({images, labels, 1}, false, nothing);
  const double error = (rounded - exact).norm().item<double>() / exact.norm().item<double>();
  EXPECT_LT(error, 0.03);
  EXPECT_GT(error, 1e-4);  // it is rounded
  EXPECT_EQ(result.z.scalar_type(), at::kFloat);
}

TEST(GradientTest, KeptActivationsGiveTheSameBits) {
  const ParameterLayout layout(kTinyShape);
  const Labels labels = {0, 3, -1, 1};
  std::vector<at::Device> devices = {at::kCPU};
  if (at::hasCUDA()) devices.emplace_back(at::kCUDA, 0);
  for (const at::Device& device : devices) {
    const at::Tensor row = some_row(layout, 7).to(device);
    const at::Tensor images = some_images(kTinyShape, 4).to(device);
    for (const ComputeType compute : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
      const auto gradient = [&](int kept) {
        const at::Tensor found = at::zeros_like(row);
        Pass pass(layout, compute, row, row.to(scalar_type(compute)), found);
        const PassResult result = pass.run({images, labels, 1, kept}, false, [](int) {});
        return at::cat({found, result.sums.to(at::kFloat)});
      };
      for (const int kept : {1, 2, 9})
        EXPECT_TRUE(at::equal(gradient(kept), gradient(0))) << kept << device;
    }
  }
}

TEST(GradientTest, TellsWhatABlockTakes) {
  const ParameterLayout layout(kTinyShape);
  const at::Tensor row = some_row(layout, 7), images = some_images(kTinyShape, 32);
  const at::Tensor gradient = at::zeros_like(row);
  const auto run = [&](int kept) {
    Pass pass(layout, ComputeType::kFloat32, row, row, gradient);
    return pass.run({images, {}, 1, kept, true}, false, [](int) {});
  };
  const PassResult none = run(0), all = run(2);
  EXPECT_GT(none.block_bytes, 32 * kTinyShape.tokens() * kTinyShape.channels * 4 * 8);
  EXPECT_GT(none.peak_bytes, none.block_bytes);
  EXPECT_NEAR(static_cast<double>(all.peak_bytes - none.peak_bytes),
              2 * static_cast<double>(none.block_bytes),
              0.1 * static_cast<double>(none.peak_bytes));
}

TEST(GradientTest, TheActivationsOfOneBlockAreInMemory) {
  const auto peak_of = [](int blocks) {
    ModelShape shape = kTinyShape;
    shape.blocks = blocks;
    const ParameterLayout layout(shape);
    const at::Tensor row = some_row(layout, 7), images = some_images(shape, 32);
    const at::Tensor gradient = at::zeros_like(row);
    Pass pass(layout, ComputeType::kFloat32, row, row, gradient);
    const MemoryMeter meter(at::kCPU);
    pass.run({images, {}, 1}, false, [](int) {});
    return meter.peak();
  };
  const int64_t input = 32 * kTinyShape.tokens() * kTinyShape.token_width() * 4;
  EXPECT_LT(peak_of(8) - peak_of(2), 6 * input + 100000);
}

}  // namespace
}  // namespace tarflow::training
