// The kernels of fused training: one body for both twins and both compute types, against double
// precision and against the operators of LibTorch whose place they take.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "framework/kernels/gelu_backward.h"
#include "framework/kernels/qkv_gradient.h"
#include "framework/kernels/stream_norm.h"
#include "tests/support/devices.h"

namespace tarflow::kernels {
namespace {

struct Case {
  const char* name;
  const char* device;
  at::ScalarType type;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

at::Tensor exact(const at::Tensor& tensor) { return tensor.cpu().to(at::kDouble); }

class TrainingKernelsTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    skip_without(GetParam().device);
    at::manual_seed(7);
  }
  static bool gpu() { return std::string(GetParam().device) == "cuda"; }
  static bool rounded() { return GetParam().type == at::kBFloat16; }
  static at::Tensor random(at::IntArrayRef sizes) {  // in the compute type
    return at::randn(sizes).to(GetParam().type).to(GetParam().device);
  }
  static at::Tensor full(at::IntArrayRef sizes) { return at::randn(sizes).to(GetParam().device); }
  // Many rows give every team several on a GPU; on a CPU they would only take time.
  static int64_t rows_here(int64_t rows) { return gpu() ? rows : std::min<int64_t>(rows, 7); }

  // The norm of the error over the norm of what is expected.
  static double error(const at::Tensor& got, const at::Tensor& expected) {
    EXPECT_EQ(got.sizes(), expected.sizes());
    return ((exact(got) - exact(expected)).norm() / exact(expected).norm()).item<double>();
  }
  // A few roundings of fp32, or one to the compute type.
  static void expect_exact(const at::Tensor& got, const at::Tensor& expected) {
    EXPECT_LT(error(got, expected), got.scalar_type() == at::kBFloat16 ? 3e-3 : 2e-6);
  }
};

// Every shape of a team: of 32 threads with 1 and 2 quads each, of 128, of 256 with 1, 2, 4 and 8.
// The second of each does not fill it.
constexpr std::pair<int64_t, int64_t> kShapes[] = {
    {9001, 128},  {9001, 64},  {9001, 256}, {9001, 192},  {5000, 512}, {5000, 320},
    {5000, 1024}, {5000, 768}, {70, 2048},  {3000, 1088}, {70, 4096},  {3000, 2112},
    {3000, 8192}, {70, 4160},  {1, 192},    {1, 768},     {3, 64},     {9001, 4}};

TEST_P(TrainingKernelsTest, StreamNormAddsAndNormalises) {
  for (const auto& [most, c] : kShapes) {
    const int64_t rows = rows_here(most);
    SCOPED_TRACE(testing::Message() << rows << " rows of " << c);
    const at::Tensor h = full({rows, c}), added = random({rows, c}), weight = full({c}) + 1,
                     bias = full({c});
    const at::Tensor before = h.clone();
    for (const bool adds : {true, false}) {
      const StreamNormOutputs out =
          stream_norm({h, adds ? added : at::Tensor(), weight, bias, GetParam().type});
      EXPECT_TRUE(at::equal(out.sum, adds ? h + added : h)) << "rounded once, in fp32";
      EXPECT_EQ(out.sum.is_same(h), !adds);
      EXPECT_TRUE(at::equal(h, before));
      EXPECT_EQ(out.normed.scalar_type(), GetParam().type);
      const at::Tensor sum = exact(out.sum);
      expect_exact(out.normed, at::layer_norm(sum, {c}, exact(weight), exact(bias), 1e-5));
      EXPECT_LT((exact(out.mean).view({rows}) - sum.mean(1)).abs().max().item<double>(), 1e-6);
      expect_exact(out.inverse.view({rows}), 1 / (sum.var(1, 0) + 1e-5).sqrt());
    }
  }
}

// What LibTorch's operators give for the same row, on the same device.
TEST_P(TrainingKernelsTest, StreamNormRoundsAsTheComposedOperators) {
  for (const int64_t c : {192, 768, 1024}) {
    const int64_t rows = rows_here(5000);
    const at::Tensor h = full({rows, c}), added = random({rows, c}), weight = full({c}) + 1,
                     bias = full({c});
    const StreamNormOutputs out = stream_norm({h, added, weight, bias, GetParam().type});
    const at::Tensor composed =
        at::layer_norm(h + added, {c}, weight, bias, 1e-5).to(GetParam().type);
    // On a GPU the row's sums have another order, so that few values are rounded to a neighbour.
    const float other = out.normed.ne(composed).to(at::kFloat).mean().item<float>();
    EXPECT_LE(other, !gpu() ? 0 : rounded() ? 1e-3 : 1);
    EXPECT_TRUE(at::allclose(out.normed.to(at::kFloat), composed.to(at::kFloat),
                             rounded() ? 1.0 / 128 : 1e-5, 1e-5));
  }
}

struct BackwardCase {
  StreamNormOutputs forward;
  at::Tensor weight, bias, normed, past;
  StreamNormBackward work(bool adds) const {
    return {forward.sum, forward.mean, forward.inverse, weight, bias, normed, past, adds};
  }
};

TEST_P(TrainingKernelsTest, StreamNormBackwardIsTheGradient) {
  for (const auto& [most, c] : kShapes) {
    const int64_t rows = rows_here(most);
    SCOPED_TRACE(testing::Message() << rows << " rows of " << c);
    BackwardCase b;
    b.weight = full({c}) + 1;
    b.bias = full({c});
    b.forward =
        stream_norm({full({rows, c}), random({rows, c}), b.weight, b.bias, GetParam().type});
    b.normed = random({rows, c});
    b.past = full({rows, c});
    const at::Tensor x = exact(b.forward.sum).requires_grad_(true),
                     w = exact(b.weight).requires_grad_(true),
                     s = exact(b.bias).requires_grad_(true);
    const std::vector<at::Tensor> expected =
        torch::autograd::grad({at::layer_norm(x, {c}, w, s, 1e-5)}, {x, w, s}, {exact(b.normed)});
    StreamNormGradients found = stream_norm_backward(b.work(true));
    expect_exact(found.h, expected[0] + exact(b.past));
    expect_exact(found.weight, expected[1]);
    expect_exact(found.bias, expected[2]);
    EXPECT_TRUE(at::equal(found.added, found.h.to(GetParam().type))) << "rounded once";
    expect_exact(found.added_bias, exact(found.added).sum(0));
    EXPECT_EQ(found.added_bias.scalar_type(), GetParam().type);

    const StreamNormGradients again = stream_norm_backward(b.work(true));
    EXPECT_TRUE(at::equal(again.h, found.h));
    EXPECT_TRUE(at::equal(again.weight, found.weight));
    EXPECT_TRUE(at::equal(again.bias, found.bias));
    EXPECT_TRUE(at::equal(again.added_bias, found.added_bias));

    b.past.reset();
    found = stream_norm_backward(b.work(false));
    EXPECT_FALSE(found.added.defined() || found.added_bias.defined());
    EXPECT_TRUE(at::equal(found.weight, again.weight));
    expect_exact(found.h, expected[0]);
  }
}

// A training must see that a step is not finite.
TEST_P(TrainingKernelsTest, ARowThatIsNotFiniteStaysSo) {
  for (const int64_t c : {192, 768}) {
    const at::Tensor h = full({6, c}), weight = full({c}) + 1, bias = full({c});
    const StreamNormOutputs plain = stream_norm({h, {}, weight, bias, GetParam().type});
    const at::Tensor spoilt = h.clone();
    spoilt[0][3].fill_(INFINITY);
    spoilt[1][c - 1].fill_(NAN);
    const StreamNormOutputs out = stream_norm({spoilt, {}, weight, bias, GetParam().type});
    EXPECT_TRUE(out.normed.slice(0, 0, 2).isnan().any(1).all().item<bool>());
    EXPECT_TRUE(at::equal(out.normed.slice(0, 2), plain.normed.slice(0, 2)));
    const StreamNormGradients found = stream_norm_backward(
        {out.sum, out.mean, out.inverse, weight, bias, random({6, c}), {}, true});
    EXPECT_TRUE(found.h.slice(0, 0, 2).isnan().any(1).all().item<bool>());
    EXPECT_TRUE(found.h.slice(0, 2).isfinite().all().item<bool>());
    EXPECT_TRUE(found.weight.isnan().any().item<bool>());
  }
}

TEST_P(TrainingKernelsTest, StreamNormTakesSequencesAndNoRows) {
  const at::Tensor weight = full({64}) + 1, bias = full({64}), h = full({2, 5, 64});
  const StreamNormOutputs out = stream_norm({h, random({2, 5, 64}), weight, bias, GetParam().type});
  EXPECT_EQ(out.normed.sizes(), h.sizes());
  EXPECT_EQ(out.mean.numel(), 10);
  const StreamNormGradients found = stream_norm_backward(
      {out.sum, out.mean, out.inverse, weight, bias, random({2, 5, 64}), full({2, 5, 64}), true});
  EXPECT_EQ(found.added.sizes(), h.sizes());
  EXPECT_EQ(found.added_bias.sizes(), weight.sizes());
  const StreamNormOutputs none =
      stream_norm({full({0, 64}), random({0, 64}), weight, bias, GetParam().type});
  const StreamNormGradients zero = stream_norm_backward(
      {none.sum, none.mean, none.inverse, weight, bias, random({0, 64}), {}, true});
  EXPECT_EQ(zero.weight.abs().max().item<float>(), 0);
  EXPECT_EQ(zero.added_bias.abs().max().item<float>(), 0);
}

TEST_P(TrainingKernelsTest, GeluBackwardIsTheGradientAndSumsIt) {
  for (const auto& [most, width] : {std::pair<int64_t, int64_t>{20000, 768},
                                    {9001, 256},
                                    {3000, 3072},
                                    {1, 256},
                                    {7, 4096},
                                    {9001, 16}}) {
    const int64_t rows = rows_here(most);
    SCOPED_TRACE(testing::Message() << rows << " rows of " << width);
    const at::Tensor inputs = random({rows, width}) * 3, gradient = random({rows, width});
    const at::Tensor expected = at::gelu_backward(exact(gradient), exact(inputs));
    const GeluGradients found = gelu_backward({inputs, gradient});
    EXPECT_EQ(found.inputs.scalar_type(), GetParam().type);
    expect_exact(found.inputs, expected);
    expect_exact(found.bias, exact(found.inputs).sum(0));
    const at::Tensor composed = at::gelu_backward(gradient, inputs);
    // On a GPU the compiler may contract other products and sums.
    const float other = found.inputs.ne(composed).to(at::kFloat).mean().item<float>();
    EXPECT_LE(other, !gpu() ? 0 : rounded() ? 0.1 : 1);
    EXPECT_TRUE(at::allclose(found.inputs.to(at::kFloat), composed.to(at::kFloat),
                             rounded() ? 1.0 / 128 : 1e-5, 1e-6));
    const GeluGradients again = gelu_backward({inputs, gradient});
    EXPECT_TRUE(at::equal(again.inputs, found.inputs));
    EXPECT_TRUE(at::equal(again.bias, found.bias));
  }
}

TEST_P(TrainingKernelsTest, GeluBackwardKeepsTheEnds) {
  const at::Tensor inputs = at::tensor({-INFINITY, -40.f, -6.f, 0.f, 6.f, 40.f, INFINITY, NAN})
                                .repeat({2, 8})
                                .to(GetParam().type)
                                .to(GetParam().device);
  const at::Tensor found = gelu_backward({inputs, at::ones_like(inputs)}).inputs,
                   composed = at::gelu_backward(at::ones_like(inputs), inputs);
  EXPECT_TRUE(at::equal(found.isnan(), composed.isnan()));
  EXPECT_TRUE(at::allclose(found.to(at::kFloat).nan_to_num(7),
                           composed.to(at::kFloat).nan_to_num(7), rounded() ? 1.0 / 128 : 1e-6,
                           1e-7));
}

TEST_P(TrainingKernelsTest, QkvGradientJoinsAndSums) {
  for (const auto& [most, width] :
       {std::pair<int64_t, int64_t>{20000, 192}, {9001, 64}, {3000, 1024}, {1, 768}, {9001, 8}}) {
    const int64_t rows = rows_here(most);
    SCOPED_TRACE(testing::Message() << rows << " rows of " << width);
    const QkvParts parts{random({2, rows, width}), random({2, rows, width}),
                         random({2, rows, width})};
    const QkvGradient found = qkv_gradient(parts), again = qkv_gradient(parts);
    EXPECT_TRUE(at::equal(found.qkv, at::cat({parts.queries, parts.keys, parts.values}, 2)));
    EXPECT_EQ(found.bias.scalar_type(), GetParam().type);
    expect_exact(found.bias, exact(found.qkv).sum(at::IntArrayRef{0, 1}));
    EXPECT_TRUE(at::equal(again.qkv, found.qkv));
    EXPECT_TRUE(at::equal(again.bias, found.bias));
  }
}

INSTANTIATE_TEST_SUITE_P(Twins, TrainingKernelsTest,
                         testing::Values(Case{"cpu_float32", "cpu", at::kFloat},
                                         Case{"cpu_bfloat16", "cpu", at::kBFloat16},
                                         Case{"cuda_float32", "cuda", at::kFloat},
                                         Case{"cuda_bfloat16", "cuda", at::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tarflow::kernels
