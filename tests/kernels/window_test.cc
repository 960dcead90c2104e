// One body for both twins: a block's evaluations, made up, by the CPU's twin and by the GPU's.
#include "framework/kernels/window.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "framework/tensor/device.h"

namespace tarflow::kernels {
namespace {

constexpr int64_t kImages = 3, kRow = 6, kTokens = kRow * kRow;

struct Case {
  const char* name;
  int64_t depth, width;
  bool linear, held, guided;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

// Of random z and a random linear model, the same on every device.
WindowState state_of(const Case& c, const at::Device& device) {
  at::manual_seed(5);
  const auto random = [&](at::IntArrayRef shape, double scale) {
    return at::randn(shape).mul_(scale).to(device);
  };
  const auto zeros = [&](at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
    return at::zeros(shape, at::TensorOptions(type).device(device));
  };
  WindowState state;
  state.z = random({kImages, kTokens, c.depth}, 1);
  state.x = state.z.clone();
  if (c.held) state.held = zeros({kImages, kTokens, 2 * c.depth});
  if (c.guided) state.delta = zeros({kImages, kTokens, 2 * c.depth});
  state.lost = zeros({kImages}, at::kInt);
  state.front = zeros({1}, at::kLong);
  state.span = zeros({kSpan}, at::kLong);
  state.log = zeros({200}, at::kLong);
  state.change = zeros({c.width}, at::kInt);
  state.theta = zeros({kImages, c.width, 2 * c.depth});
  state.clip = at::full({1}, 3.0f).to(device);
  state.row = kRow;
  if (c.linear) {
    state.j = random({4 * c.depth, 2 * c.depth}, 0.2 / static_cast<double>(c.depth));
    state.j0 = random({2 * c.depth}, 0.1);
    state.up = at::full({2 * c.depth}, 0.6f).to(device);
    state.left = at::full({2 * c.depth}, 0.3f).to(device);
    state.predicted = zeros({kImages, c.width, 2 * c.depth});
    state.neighbours = zeros({kImages, c.width, 4 * c.depth});
  }
  state.sweeps = 3;
  state.tolerance = 0.5;
  state.cfg = 1.5;
  return state;
}

class WindowTest : public testing::TestWithParam<Case> {
 protected:
  WindowState state(const at::Device& device) const { return state_of(GetParam(), device); }

  // The outputs of an evaluation: nearer to what is known already the later it comes, so that
  // fronts move by different numbers of tokens.
  at::Tensor outputs(int evaluation, int pass) const {
    const Case& c = GetParam();
    at::manual_seed(static_cast<uint64_t>(100 + 2 * (evaluation / 4) + pass));
    const at::Tensor whole = at::randn({kImages, c.width, 2 * c.depth}).mul_(0.3);
    at::manual_seed(static_cast<uint64_t>(500 + 2 * evaluation + pass));
    return whole + at::randn(whole.sizes()).mul_(0.02);
  }

  // Until the last token is final; H F H F if guided.
  void run(const WindowState& state) const {
    window_begin(state);
    for (int i = 0; i < 200 && state.front.item<int64_t>() < kTokens - 1; ++i) {
      const bool half = GetParam().guided && i % 2 == 0;
      const at::Device device = state.x.device();
      window_settle(state, outputs(i, 0).to(device),
                    GetParam().guided && !half ? outputs(i, 1).to(device) : at::Tensor(), half);
    }
  }
};

void expect_close(const at::Tensor& got, const at::Tensor& expected, const char* what) {
  if (!expected.defined()) return;
  EXPECT_LE((got.cpu() - expected).abs().max().item<double>(), 2e-4) << what;
}

TEST_P(WindowTest, BothTwinsSettleTheSame) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  use_exact_float32();
  const WindowState cpu = state(at::kCPU), gpu = state(at::kCUDA);
  run(cpu);
  run(gpu);
  EXPECT_EQ(gpu.front.item<int64_t>(), kTokens - 1);
  EXPECT_TRUE(at::equal(gpu.log.cpu(), cpu.log)) << cpu.log << gpu.log.cpu();
  expect_close(gpu.x, cpu.x, "x");
  expect_close(gpu.held, cpu.held, "held");
  expect_close(gpu.delta, cpu.delta, "delta");
}

TEST_P(WindowTest, EndsAtTheLastTokenAndStaysThere) {
  for (const at::Device& device : {at::Device(at::kCPU), at::Device(at::kCUDA)}) {
    if (device.is_cuda() && !at::hasCUDA()) continue;
    const WindowState state = this->state(device);
    run(state);
    const at::Tensor x = state.x.clone(), log = state.log.clone();
    EXPECT_EQ(state.front.item<int64_t>(), kTokens - 1);
    window_settle(state, outputs(0, 0).to(device), {}, false);
    EXPECT_TRUE(at::equal(state.x, x)) << "an evaluation after the end changes nothing";
    EXPECT_TRUE(at::equal(state.log, log));
    const auto all = evaluations_of(state.log, GetParam().width, kTokens);
    int64_t front = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].full, !(GetParam().guided && i % 2 == 0) || all[i].inputs == 1);
      EXPECT_GE(all[i].front, front);
      front = all[i].front;
    }
  }
}

TEST_P(WindowTest, AnImageThatIsLostHoldsNobodyBack) {
  for (const at::Device& device : {at::Device(at::kCPU), at::Device(at::kCUDA)}) {
    if (device.is_cuda() && !at::hasCUDA()) continue;
    const WindowState two = state(device), whole = state(device);
    two.lost.select(0, 2).fill_(1);
    whole.lost.select(0, 2).fill_(1);
    whole.z.select(0, 2).fill_(NAN);
    whole.x.select(0, 2).fill_(NAN);
    run(two);
    run(whole);
    EXPECT_TRUE(at::equal(two.log, whole.log));
    EXPECT_TRUE(at::equal(two.x.slice(0, 0, 2), whole.x.slice(0, 0, 2)));
  }
}

// Tokens too wide for the memory of a block are predicted by a product, of bf16 where the evaluator
// computes in bf16.
TEST(WideWindow, GuessesInBfloat16AsInFloat32ButForRounding) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  use_exact_float32();
  const Case wide{"", 192, 9, true, true, true};
  const WindowState exact = state_of(wide, at::kCPU);
  WindowState rounded = state_of(wide, at::kCUDA);
  rounded.neighbours = rounded.neighbours.to(at::kBFloat16);
  rounded.j_rounded = rounded.j.to(at::kBFloat16);
  window_begin(exact);
  window_begin(rounded);
  const at::Tensor difference = (rounded.x.cpu() - exact.x).abs();
  EXPECT_GT(difference.max().item<double>(), 0) << "nothing was rounded";
  EXPECT_LE(difference.max().item<double>(), 0.05);
}

INSTANTIATE_TEST_SUITE_P(All, WindowTest,
                         testing::Values(Case{"z", 12, 5, false, false, true},
                                         Case{"up", 12, 9, false, true, true},
                                         Case{"linear", 12, 9, true, true, true},
                                         Case{"linear_unguided", 12, 9, true, true, false},
                                         Case{"linear_all", 12, kTokens - 1, true, true, true},
                                         Case{"linear_wide_tokens", 192, 9, true, true, true}),
                         [](const auto& entry) { return std::string(entry.param.name); });

}  // namespace
}  // namespace tarflow::kernels
