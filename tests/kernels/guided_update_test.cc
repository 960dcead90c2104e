// One body for both twins: the CPU's result is compared with double precision, the GPU's with the
// same.
#include "framework/kernels/guided_update.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

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
  GuidedUpdate update{outputs.slice(0, 0, images),
                      c.guided ? outputs.slice(0, images) : at::Tensor(),
                      z.to(c.device),
                      x.to(c.device).clone(),
                      first,
                      1.7,
                      c.clamp};
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

// The statistics of each token, and the new tokens apart from x.
TEST_P(GuidedUpdateTest, TellsEachTokensChange) {
  const Case& c = GetParam();
  if (std::string(c.device) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  at::manual_seed(4);
  const int64_t images = 3, tokens = 9, width = 44, first = 2, n = 5;
  const auto outputs = [&] {
    return (0.5 * at::randn({images, n, 2 * width})).to(c.outputs).to(c.device);
  };
  GuidedUpdate update;
  update.conditional = outputs();
  if (c.guided) update.unconditional = outputs();
  update.z = at::randn({images, tokens, width}).to(c.device);
  update.x = at::randn({images, tokens, width}).to(c.device);
  update.first = first;
  update.cfg = 1.7;
  update.clamp = c.clamp;
  GuidedUpdate plain = update;
  plain.x = update.x.clone();
  guided_update(plain);
  const at::Tensor before = update.x.clone();
  update.out = at::zeros_like(before);
  update.statistics = at::full({images, tokens, kStatistics}, -1.0,
                               at::TensorOptions().dtype(at::kDouble).device(c.device));
  update.stopped = at::zeros({images}, at::TensorOptions().dtype(at::kInt).device(c.device));
  update.stopped[1].fill_(1);
  guided_update(update);
  EXPECT_TRUE(at::equal(update.x, before)) << "they are apart from x";
  const auto written = [&](const at::Tensor& x) {
    return at::cat({x.slice(0, 0, 1), x.slice(0, 2)}).slice(1, first + 1, first + 1 + n);
  };
  EXPECT_TRUE(at::equal(written(update.out), written(plain.x))) << "the same bits";
  EXPECT_EQ(update.out[1].abs().max().item<float>(), 0) << "an image that has stopped";
  EXPECT_EQ(update.statistics[1].max().item<double>(), -1);
  EXPECT_EQ(update.statistics.slice(1, 0, first + 1).max().item<double>(), -1);
  const at::Tensor now = written(plain.x).cpu().to(at::kDouble),
                   moved = (written(plain.x) - written(before)).cpu().to(at::kDouble),
                   got = written(update.statistics).cpu();
  EXPECT_TRUE(at::allclose(got.select(2, kSquares), moved.square().sum(2), 1e-5, 0));
  EXPECT_TRUE(at::allclose(got.select(2, kLargest), std::get<0>(moved.abs().max(2)), 1e-6, 0));
  EXPECT_TRUE(at::allclose(got.select(2, kSize), now.square().sum(2), 1e-5, 0));
}

TEST_P(GuidedUpdateTest, NotANumberIsTheLargestChange) {
  const Case& c = GetParam();
  if (std::string(c.device) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  for (const int64_t place : {0, 7, 39}) {
    GuidedUpdate update;
    update.conditional = at::zeros({1, 1, 80}).to(c.outputs).to(c.device);
    update.z = at::ones({1, 2, 40}, update.conditional.options().dtype(at::kFloat));
    update.x = at::zeros_like(update.z);
    update.z[0][1][place].fill_(NAN);
    update.statistics = at::zeros({1, 2, kStatistics}, update.z.options().dtype(at::kDouble));
    guided_update(update);
    EXPECT_TRUE(std::isnan(update.statistics[0][1][kLargest].item<double>())) << place;
    EXPECT_TRUE(std::isnan(update.statistics[0][1][kSquares].item<double>())) << place;
  }
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
