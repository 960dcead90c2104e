#include "framework/training/fused_block.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>

#include "tests/support/devices.h"
#include "tests/training/small_training.h"

namespace tarflow::training {
namespace {

using Operation = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// The gradient of sum(weights * operation) against central differences, in double precision.
void expect_differences(const Operation& operation, std::vector<at::Tensor> inputs) {
  for (at::Tensor& input : inputs) input.requires_grad_(true);
  const at::Tensor result = operation(inputs), weights = at::randn_like(result);
  const std::vector<at::Tensor> gradients = torch::autograd::grad({result}, inputs, {weights});
  const c10::NoGradGuard no_grad;
  const auto value = [&] { return (operation(inputs) * weights).sum().item<double>(); };
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const at::Tensor places = inputs[i].detach().view({-1}), found = gradients[i].reshape({-1});
    for (int64_t e = 0; e < places.numel(); ++e) {
      at::Tensor place = places[e];
      place.add_(kStep);
      const double above = value();
      place.sub_(2 * kStep);
      const double below = value();
      place.add_(kStep);
      EXPECT_NEAR(found[e].item<double>(), (above - below) / (2 * kStep), 1e-7)
          << "input " << i << ", element " << e;
    }
  }
}

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

// `added` is the output of a linear layer whose bias gets its gradient from the operation alone.
TEST(FusedBlockTest, GradientsAreThoseOfDifferences) {
  at::manual_seed(5);
  const auto rows = [](const at::Tensor& x, const at::Tensor& bias) { return x + bias.detach(); };
  // The linear layer adds the bias again, so that differences see it: the gradient of the value
  // passes the detached bias by, and the operation's takes its place.
  for (const bool both : {true, false}) {
    expect_differences(
        [&](const std::vector<at::Tensor>& in) {
          const NormedStream out =
              add_and_norm(in[0], rows(in[1], in[2]), in[2], in[3], in[4], at::kDouble);
          return both ? at::cat({out.h, out.y}) : out.y;
        },
        {random({2, 3, 8}), random({2, 3, 8}), random({8}), random({8}), random({8})});
    expect_differences(
        [&](const std::vector<at::Tensor>& in) {
          const NormedStream out = add_and_norm(in[0], {}, {}, in[1], in[2], at::kDouble);
          return both ? at::cat({out.h, out.y}) : out.y;
        },
        {random({2, 3, 8}), random({8}), random({8})});
  }
  expect_differences(
      [&](const std::vector<at::Tensor>& in) {
        const Heads heads = heads_of(rows(in[0], in[1]), in[1]);
        return at::cat({heads.queries, heads.keys * 2, heads.values.square()});
      },
      {random({2, 2, 3 * 128}), random({3 * 128})});
  expect_differences(
      [&](const std::vector<at::Tensor>& in) { return gelu_of_linear(rows(in[0], in[1]), in[1]); },
      {random({2, 3, 8}), random({8})});
  expect_differences(
      [&](const std::vector<at::Tensor>& in) {
        return add_and_cast(in[0], rows(in[1], in[2]), in[2]);
      },
      {random({2, 3, 8}), random({2, 3, 8}), random({8})});
}

struct Case {
  const char* name;
  ModelShape shape;
  Labels labels;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class FusedPassTest : public testing::TestWithParam<Case> {
 protected:
  struct Found {
    at::Tensor sums, gradient;
  };
  static Found pass(LayerKernels kernels, ComputeType compute, const at::Device& device,
                    int kept = 9) {
    const ParameterLayout layout(GetParam().shape);
    const at::Tensor row = some_row(layout, 7).to(device);
    const at::Tensor images = some_images(GetParam().shape, 4).to(device);
    const at::Tensor gradient = at::zeros_like(row);
    Pass pass(layout, compute, row, row.to(scalar_type(compute)), gradient, kernels);
    const PassResult result = pass.run({images, GetParam().labels, 0.25, kept}, false, [](int) {});
    return {result.sums.cpu(), gradient.cpu()};
  }
};

TEST_P(FusedPassTest, OnACpuTheBitsAreTheSame) {
  const ParameterLayout layout(GetParam().shape);
  for (const ComputeType compute : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
    const Found composed = pass(LayerKernels::kComposed, compute, at::kCPU);
    ASSERT_TRUE(composed.gradient.isfinite().all().item<bool>());
    for (const int kept : {0, 9}) {
      const Found fused = pass(LayerKernels::kFused, compute, at::kCPU, kept);
      EXPECT_TRUE(at::equal(fused.sums, composed.sums));
      for (int b = 0; b < GetParam().shape.blocks; ++b) {
        const std::vector<at::Tensor> found = layout.views(fused.gradient, b),
                                      expected = layout.views(composed.gradient, b);
        for (size_t i = 0; i < found.size(); ++i) {
          EXPECT_TRUE(at::equal(found[i], expected[i]))
              << layout.of_block(b)[i].name << ": "
              << (found[i] - expected[i]).abs().max().item<float>();
        }
      }
    }
  }
}

// Rounded sums in another order: as far from float32 on a CPU as the composed operators are.
TEST_P(FusedPassTest, OnAGpuItIsAsExact) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  const at::Device gpu(at::kCUDA, 0);
  const Found exact = pass(LayerKernels::kComposed, ComputeType::kFloat32, at::kCPU);
  const auto error = [&](const Found& found) {
    return ((found.gradient - exact.gradient).norm() / exact.gradient.norm()).item<double>();
  };
  EXPECT_LT(error(pass(LayerKernels::kFused, ComputeType::kFloat32, gpu)),
            1.5 * error(pass(LayerKernels::kComposed, ComputeType::kFloat32, gpu)) + 1e-6);
  const Found composed = pass(LayerKernels::kComposed, ComputeType::kBFloat16, gpu),
              fused = pass(LayerKernels::kFused, ComputeType::kBFloat16, gpu);
  EXPECT_LT(error(fused), 1.2 * error(composed));
  EXPECT_LT(((fused.gradient - composed.gradient).norm() / exact.gradient.norm()).item<double>(),
            1.5 * error(composed));
  for (const int kept : {0, 1}) {
    const Found again = pass(LayerKernels::kFused, ComputeType::kBFloat16, gpu, kept);
    EXPECT_TRUE(at::equal(again.gradient, fused.gradient)) << kept;
    EXPECT_TRUE(at::equal(again.sums, fused.sums)) << kept;
  }
}

ModelShape wide(ModelShape shape) {
  shape.channels = 192;
  shape.blocks = 1;  // more of these weights would overflow
  return shape;
}

INSTANTIATE_TEST_SUITE_P(
    Models, FusedPassTest,
    testing::Values(Case{"classes", kTinyShape, {0, 3, -1, 1}}, Case{"mean_class", kTinyShape, {}},
                    Case{"unconditional", unconditional(kTinyShape), {}},
                    Case{"wide", wide(kTinyShape), {0, 3, -1, 1}},
                    Case{"volume_preserving", volume_preserving(kTinyShape), {0, 3, -1, 1}}),
    [](const auto& info) { return info.param.name; });

// Losses of a few steps from the same weights.
std::vector<double> losses(LayerKernels kernels, ComputeType compute, const at::Device& device) {
  const Recipe recipe{
      .shape = kTinyShape, .compute = compute, .adamw = {}, .clip = 1, .kernels = kernels};
  const ParameterLayout layout(kTinyShape);
  Trainer trainer(recipe, 8, initial_state(recipe, some_row(layout, 3).to(device)));
  std::vector<double> found;
  for (int step = 0; step < 12; ++step) {
    const at::Tensor images =
        some_images(kTinyShape, 8, static_cast<uint64_t>(step % 3)).to(device);
    trainer.add(images.slice(0, 0, 4), {0, 1, 2, -1}, false);
    trainer.add(images.slice(0, 4, 8), {3, 1, -1, 0}, true);
    found.push_back(trainer.finish(1e-3).loss());
  }
  EXPECT_LT(found.back(), found[2] - 0.05);
  return found;
}

std::atomic<int> fused_nodes;

std::unique_ptr<at::ObserverContext> count_fused(const at::RecordFunction& node) {
  fused_nodes += std::string_view(node.name()).find("GeluOfLinear") != std::string_view::npos;
  return nullptr;
}

// What a trainer differentiates is what its recipe says; the bits on a CPU would not tell.
TEST(FusedBlockTest, ATrainerComputesWithTheKernelsOfItsRecipe) {
  const at::CallbackHandle counting = at::addGlobalCallback(
      at::RecordFunctionCallback(&count_fused).scopes({at::RecordScope::BACKWARD_FUNCTION}));
  for (const LayerKernels kernels : {LayerKernels::kComposed, LayerKernels::kFused}) {
    fused_nodes = 0;
    losses(kernels, ComputeType::kFloat32, at::kCPU);
    EXPECT_EQ(fused_nodes > 0, kernels == LayerKernels::kFused) << fused_nodes;
  }
  at::removeCallback(counting);
}

TEST(FusedBlockTest, TrainsTheSame) {
  for (const ComputeType compute : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
    EXPECT_EQ(losses(LayerKernels::kFused, compute, at::kCPU),
              losses(LayerKernels::kComposed, compute, at::kCPU));
    if (!at::hasCUDA()) continue;
    const std::vector<double> fused = losses(LayerKernels::kFused, compute, {at::kCUDA, 0}),
                              composed = losses(LayerKernels::kComposed, compute, {at::kCUDA, 0});
    const double tolerance = compute == ComputeType::kFloat32 ? 1e-3 : 2e-2;
    for (size_t i = 0; i < fused.size(); ++i)
      EXPECT_NEAR(fused[i], composed[i], tolerance * (1 + std::abs(composed[i]))) << i;
  }
}

}  // namespace
}  // namespace tarflow::training
