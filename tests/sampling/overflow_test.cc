// A token that overflows on the way of an iteration: the tokens before it do not see it, and a
// value that is not finite in the end is never hidden. On GPUs and CPUs, for every evaluator.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/sampling/evaluator.h"
#include "tests/support/devices.h"
#include "tests/support/evaluate.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

struct Case : DeviceCase {
  std::unique_ptr<Evaluator> (*make)(const Model&, int64_t, const Guidance&);
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::unique_ptr<Evaluator> fused(const Model& model, int64_t images, const Guidance& guidance) {
  return make_fused_evaluator(model, images, guidance);
}

constexpr int64_t kImages = 2;
constexpr Guidance kGuidance{0.7, 0.8};
constexpr float kPlanted[] = {INFINITY, -INFINITY, NAN, 1e30f, -3e38f};

class OverflowTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    skip_without(GetParam().device);
    if (IsSkipped()) return;
    use_exact_float32();
    model_ = random_model(kSmallShape, 21, device_from(GetParam().device), GetParam().compute);
    evaluator_ = GetParam().make(model_, kImages, kGuidance);
    evaluator_->begin(1, {1, 3}, kImages);
    z_ = noise_of(kSmallShape, 22, kImages, model_.device);
  }

  static int64_t tokens() { return kSmallShape.tokens(); }

  // One iteration on inputs [first, last): x_{t+1} = exp(a_t) z_{t+1} + g_t with guidance.
  void iterate(at::Tensor& x, int64_t first, int64_t last) const {
    const at::Tensor out = evaluated(*evaluator_, x, first, last).to(at::kFloat);
    const at::Tensor c = out.slice(0, 0, kImages), u = out.slice(0, kImages);
    const at::Tensor weight = (at::arange(first + 1, last + 1, at::kFloat) *
                               (kGuidance.cfg / static_cast<double>(tokens() - 1)))
                                  .view({1, -1, 1})
                                  .to(model_.device);
    const std::vector<at::Tensor> parts = (c + weight * (c - u)).chunk(2, 2);
    x.slice(1, first + 1, last + 1)
        .copy_(parts[0].exp() * z_.slice(1, first + 1, last + 1) + parts[1]);
  }

  // The first `count` tokens are those of `expected`; to the bit on a CPU.
  static void expect_same(const at::Tensor& x, const at::Tensor& expected, int64_t count) {
    const at::Tensor got = x.slice(1, 0, count), want = expected.slice(1, 0, count);
    ASSERT_TRUE(at::isfinite(want).all().item<bool>());
    if (got.is_cpu()) {
      EXPECT_TRUE(at::equal(got, want)) << (got - want).abs().max().item<float>();
    } else {
      const double tolerance = GetParam().compute == ComputeType::kFloat32 ? 1e-5 : 2e-2;
      EXPECT_TRUE(at::allclose(got, want, tolerance, tolerance));
    }
  }

  Model model_;
  std::unique_ptr<Evaluator> evaluator_;
  at::Tensor z_;
};

TEST_P(OverflowTest, JacobiIsExactAtTokenTAfterTIterations) {
  for (const float planted : kPlanted) {
    for (const int64_t token : {1, 9, 14}) {
      SCOPED_TRACE(testing::Message() << planted << " in token " << token);
      at::Tensor clean = z_.clone(), x = z_.clone();
      x[0][token][3].fill_(planted);
      for (int64_t done = 1; done < tokens(); ++done) {
        iterate(clean, 0, tokens() - 1);
        iterate(x, 0, tokens() - 1);
        expect_same(x, clean, std::max(done, token) + 1);
        expect_same(x.slice(0, 1), clean.slice(0, 1), tokens());  // the other image
      }
    }
  }
}

TEST_P(OverflowTest, ASegmentIsExactOverItsPrefix) {
  for (const float planted : kPlanted) {
    SCOPED_TRACE(planted);
    at::Tensor clean = z_.clone(), x = z_.clone();
    for (int64_t first = 0; first < tokens() - 1; first += 4) {
      const int64_t last = std::min(first + 4, tokens() - 1);
      // The cache holds one of the two: each segment is solved for one after the other.
      for (at::Tensor* iterate_of : {&clean, &x}) {
        if (iterate_of == &x) x.slice(1, last - 1)[0].fill_(planted);
        for (int64_t i = first; i < last; ++i) iterate(*iterate_of, first, last);
      }
      expect_same(x, clean, last + 1);
    }
  }
}

// Also where the iteration ends before the value has gone: it moves on by a token an iteration.
TEST_P(OverflowTest, WhatIsNotFiniteInTheEndIsSeen) {
  at::Tensor x = z_.clone();
  x[0][5][3].fill_(NAN);
  iterate(x, 0, tokens() - 1);
  iterate(x, 0, tokens() - 1);
  EXPECT_TRUE(x[0][7].isnan().all().item<bool>());
  EXPECT_TRUE(at::isfinite(x[1]).all().item<bool>());

  // Noise that is not finite: the token stays so in every iteration, and no later one is finite.
  const at::Tensor clean_z = z_.clone();
  for (const bool single_steps : {false, true}) {
    z_ = clean_z.clone();
    at::Tensor clean = z_.clone();
    const auto solve = [&](at::Tensor& of) {
      for (int64_t t = 0; t + 1 < tokens(); ++t)
        iterate(of, single_steps ? t : 0, single_steps ? t + 1 : tokens() - 1);
    };
    solve(clean);
    z_[0][6].fill_(NAN);
    x = z_.clone();
    solve(x);
    expect_same(x, clean, 6);
    EXPECT_TRUE(x[0].slice(0, 6).isnan().all().item<bool>());
    EXPECT_TRUE(at::isfinite(x[1]).all().item<bool>());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Evaluators, OverflowTest,
    testing::Values(
        Case{{"cpu", "cpu", ComputeType::kFloat32}, make_cpu_evaluator},
        Case{{"fused_cpu_float32", "cpu", ComputeType::kFloat32}, fused},
        Case{{"fused_cpu_bfloat16", "cpu", ComputeType::kBFloat16}, fused},
        Case{{"plain_cpu_float32", "cpu", ComputeType::kFloat32}, make_tensor_evaluator},
        Case{{"plain_cpu_bfloat16", "cpu", ComputeType::kBFloat16}, make_tensor_evaluator},
        Case{{"fused_cuda_float32", "cuda", ComputeType::kFloat32}, fused},
        Case{{"fused_cuda_bfloat16", "cuda", ComputeType::kBFloat16}, fused},
        Case{{"plain_cuda_float32", "cuda", ComputeType::kFloat32}, make_tensor_evaluator},
        Case{{"plain_cuda_bfloat16", "cuda", ComputeType::kBFloat16}, make_tensor_evaluator}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tarflow
