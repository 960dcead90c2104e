// The arithmetic of the CUDA kernels of stream_norm, thread after thread on a CPU: every index and
// bound of theirs but for the exchange between threads.
#include "framework/kernels/stream_norm_row.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "framework/kernels/gelu_slope.h"

namespace tarflow::kernels {
namespace {

constexpr int64_t kRows = 5, kTeams = 3;  // teams have two rows, or one

// A team's threads in their order.
template <typename Shape, typename Thread, typename Visit>
void each_thread(std::vector<Thread>& threads, int64_t channels, const Visit& visit) {
  for (int i = 0; i < Shape::kThreads; ++i) {
    visit(threads[static_cast<size_t>(i)],
          TeamPlace{i, Shape::kThreads, static_cast<int>(channels / 4)});
  }
}

template <typename T>
const T* in(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}
template <typename T>
T* out(const at::Tensor& tensor) {
  return tensor.mutable_data_ptr<T>();
}

template <typename T>
StreamNormOutputs forward_by_threads(const StreamNorm& work) {
  const int64_t c = work.h.size(1);
  const auto nothing = [](at::IntArrayRef sizes, at::ScalarType type) {
    return at::full(sizes, 1e30, type);  // what must be written
  };
  const StreamNormOutputs made{work.added.defined() ? nothing(work.h.sizes(), at::kFloat) : work.h,
                               nothing(work.h.sizes(), work.type), nothing({kRows}, at::kFloat),
                               nothing({kRows}, at::kFloat)};
  const StreamNormRows<T> a{in<float>(work.h),
                            in<T>(work.added),
                            work.added.defined() ? out<float>(made.sum) : nullptr,
                            in<float>(work.weight),
                            in<float>(work.bias),
                            out<T>(made.normed),
                            out<float>(made.mean),
                            out<float>(made.inverse),
                            kRows,
                            static_cast<int>(c)};
  by_width(c, [&](auto shape) {
    using Shape = decltype(shape);
    std::vector<StreamNormThread<T, Shape::kQuads>> threads(Shape::kThreads);
    for (int64_t row = 0; row < a.rows; ++row) {
      float sum = 0, squares = 0;
      each_thread<Shape>(threads, c,
                         [&](auto& t, const TeamPlace& p) { sum += t.begin(a, row, p); });
      const float mean = sum / static_cast<float>(c);
      each_thread<Shape>(threads, c,
                         [&](auto& t, const TeamPlace& p) { squares += t.squares(p, mean); });
      each_thread<Shape>(threads, c,
                         [&](auto& t, const TeamPlace& p) { t.end(a, row, p, mean, squares); });
    }
  });
  return made;
}

template <typename T>
StreamNormGradients backward_by_threads(const StreamNormBackward& work) {
  const int64_t c = work.sum.size(1);
  StreamNormGradients made;
  made.h = at::full_like(work.sum, 1e30);
  if (work.added) made.added = at::full_like(work.normed, 1e30);
  const at::Tensor partial = at::full({kTeams, 3, c}, 1e30);
  const StreamNormBackwardRows<T> a{
      in<float>(work.sum),     in<float>(work.mean),
      in<float>(work.inverse), in<float>(work.weight),
      in<T>(work.normed),      in<float>(work.past),
      out<float>(made.h),      work.added ? out<T>(made.added) : nullptr,
      out<float>(partial),     kRows,
      static_cast<int>(c)};
  by_width(c, [&](auto shape) {
    using Shape = decltype(shape);
    std::vector<StreamNormBackwardThread<T, Shape::kQuads>> threads(Shape::kThreads);
    for (int64_t team = 0; team < kTeams; ++team) {
      each_thread<Shape>(threads, c, [&](auto& t, const TeamPlace& p) { t.start(a, p); });
      for (int64_t row = team; row < a.rows; row += kTeams) {
        GradientSums sum{0, 0};
        each_thread<Shape>(threads, c, [&](auto& t, const TeamPlace& p) {
          const GradientSums own = t.begin(a, row, p);
          sum = {sum.scaled + own.scaled, sum.along + own.along};
        });
        each_thread<Shape>(threads, c, [&](auto& t, const TeamPlace& p) { t.end(a, row, p, sum); });
      }
      each_thread<Shape>(threads, c, [&](auto& t, const TeamPlace& p) { t.leave(a, team, p); });
    }
  });
  const at::Tensor sums = partial.sum(0);
  made.weight = sums[0];
  made.bias = sums[1];
  made.added_bias = sums[2];
  return made;
}

double error(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor reference = expected.to(at::kDouble);
  return ((got.to(at::kDouble) - reference).norm() / reference.norm()).item<double>();
}

template <typename T>
void expect_row_arithmetic(int64_t c) {
  SCOPED_TRACE(c);
  at::manual_seed(3);
  const at::ScalarType type = c10::CppTypeToScalarType<T>::value;
  const double tolerance = type == at::kFloat ? 2e-6 : 3e-3;
  const at::Tensor h = at::randn({kRows, c}), added = at::randn({kRows, c}).to(type),
                   weight = at::randn({c}) + 1, bias = at::randn({c}),
                   normed = at::randn({kRows, c}).to(type), past = at::randn({kRows, c});
  for (const bool adds : {true, false}) {
    const StreamNorm work{h, adds ? added : at::Tensor(), weight, bias, type};
    const StreamNormOutputs found = forward_by_threads<T>(work), expected = stream_norm_cpu(work);
    EXPECT_TRUE(at::equal(found.sum, expected.sum));
    EXPECT_LT(error(found.normed, expected.normed), tolerance);
    EXPECT_LT(error(found.inverse, expected.inverse.view({kRows})), 1e-6);
    EXPECT_LT((found.mean - expected.mean.view({kRows})).abs().max().item<float>(), 1e-6);
    for (const at::Tensor& after : {past, at::Tensor()}) {
      const StreamNormBackward back{
          expected.sum, expected.mean, expected.inverse, weight, bias, normed, after, adds};
      const StreamNormGradients got = backward_by_threads<T>(back),
                                want = stream_norm_backward_cpu(back);
      EXPECT_LT(error(got.h, want.h), 2e-6);
      EXPECT_LT(error(got.weight, want.weight), 2e-6);
      EXPECT_LT(error(got.bias, want.bias), 2e-6);
      if (!adds) continue;
      EXPECT_TRUE(at::equal(got.added, got.h.to(type)));
      EXPECT_LT(error(got.added_bias, got.added.to(at::kDouble).sum(0)), 2e-6);
    }
  }
}

// Every shape of a team, filled and not.
TEST(StreamNormRowTest, ThreadsOfATeamShareARow) {
  for (const int64_t c :
       {8, 64, 128, 192, 256, 320, 512, 576, 768, 1024, 1088, 2048, 2112, 4096, 4160, 8192}) {
    expect_row_arithmetic<float>(c);
    expect_row_arithmetic<c10::BFloat16>(c);
  }
}

TEST(StreamNormRowTest, OtherWidthsAreRefused) {
  const auto nothing = [](auto) {};
  EXPECT_ANY_THROW(by_width(0, nothing));
  EXPECT_ANY_THROW(by_width(190, nothing));
  EXPECT_ANY_THROW(by_width(kMostStreamChannels + 4, nothing));
}

TEST(StreamNormRowTest, GeluSlopeIsThatOfLibTorch) {
  const at::Tensor x = at::linspace(-12, 12, 4001),
                   expected = at::gelu_backward(at::ones_like(x), x).to(at::kDouble),
                   exact = at::gelu_backward(at::ones({4001}, at::kDouble), x.to(at::kDouble));
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double found = gelu_slope(x[i].item<float>());
    EXPECT_NEAR(found, expected[i].item<double>(), 3e-7);
    EXPECT_NEAR(found, exact[i].item<double>(), 3e-7);
  }
}

}  // namespace
}  // namespace tarflow::kernels
