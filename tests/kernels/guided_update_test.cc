// One body for both twins: the CPU's result is compared with double precision, the GPU's with the
// same.
#include "framework/kernels/guided_update.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tarflow::kernels {
namespace {

struct Case {
  const char* name;
  const char* device;
  at::ScalarType outputs;
  bool guided;
  double clamp;
};

void PrintTo(const Case& update, std::ostream* out) { *out << update.name; }

class GuidedUpdateTest : public testing::TestWithParam<Case> {};

TEST_P(GuidedUpdateTest, MatchesDoublePrecision) {
  const Case& c = GetParam();
  if (std::string(c.device) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  at::manual_seed(3);
  const int64_t images = 3, tokens = 9, width = 12, first = 2, n = 5;
  const at::Tensor outputs =
      at::randn({c.guided ? 2 * images : images, n, 2 * width}).to(c.outputs).to(c.device);
  const at::Tensor z = at::randn({images, tokens, width}), x = at::randn({images, tokens, width});
  GuidedUpdate update{outputs, z.to(c.device), x.to(c.device).clone(), first, 1.7, c.clamp, {}};
  update.change = at::ones({images}, at::TensorOptions().dtype(at::kDouble).device(c.device));
  guided_update(update);

  at::Tensor out = outputs.cpu().to(at::kDouble);
  if (c.guided) {
    const at::Tensor weight =
        (at::arange(n, at::kDouble) + (first + 1)).mul(1.7 / (tokens - 1)).view({1, n, 1});
    out = out.slice(0, 0, images) + weight * (out.slice(0, 0, images) - out.slice(0, images));
  }
  at::Tensor expected = x.to(at::kDouble).clone();
  at::Tensor next =
      out.slice(2, 0, width).exp() * z.to(at::kDouble).slice(1, first + 1, first + 1 + n) +
      out.slice(2, width);
  if (c.clamp > 0) next = next.clamp(-c.clamp, c.clamp);
  expected.slice(1, first + 1, first + 1 + n).copy_(next);

  const at::Tensor got = update.x.cpu().to(at::kDouble);
  EXPECT_LT(((got - expected).abs() / (expected.abs() + 1)).max().item<double>(), 2e-6);
  // Tokens outside the range are left alone to the bit.
  EXPECT_TRUE(at::equal(update.x.cpu().slice(1, 0, first + 1), x.slice(1, 0, first + 1)));
  EXPECT_TRUE(at::equal(update.x.cpu().slice(1, first + 1 + n), x.slice(1, first + 1 + n)));
  const at::Tensor change = (expected - x.to(at::kDouble)).square().sum(at::IntArrayRef{1, 2}) +
                            1;  // added to what was there
  EXPECT_LT(((update.change.cpu() - change).abs() / change).max().item<double>(), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Twins, GuidedUpdateTest,
                         testing::Values(Case{"cpu_plain", "cpu", at::kFloat, false, 0},
                                         Case{"cpu_guided_clamped", "cpu", at::kFloat, true, 1.1},
                                         Case{"cpu_bfloat16", "cpu", at::kBFloat16, true, 0},
                                         Case{"cuda_plain", "cuda", at::kFloat, false, 0},
                                         Case{"cuda_guided_clamped", "cuda", at::kFloat, true, 1.1},
                                         Case{"cuda_bfloat16", "cuda", at::kBFloat16, true, 0}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tarflow::kernels
