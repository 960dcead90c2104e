// Every instruction set's row operations against double precision, element by element.
#include "framework/kernels/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tarflow::kernels {
namespace {

std::vector<NamedVectorMath> variants() {
  NamedVectorMath list[4];
  const int count = vector_math_variants(list, 4);
  return {list, list + count};
}

std::vector<float> random_values(size_t count, unsigned seed, float scale = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

class VectorMathTest : public testing::TestWithParam<NamedVectorMath> {
 protected:
  const VectorMath& math() const { return *GetParam().table; }
};

TEST_P(VectorMathTest, PackedProductForAnyShape) {
  for (const int64_t rows : {1, 2, 6, 13, 14, 15, 31}) {
    for (const auto& [outs, ins] : {std::pair<int64_t, int64_t>{24, 64}, {32, 12}, {67, 48}}) {
      const std::vector<float> in = random_values(rows * ins, 20),
                               weight = random_values(outs * ins, 21);
      std::vector<float> packed(math().packed_size(outs, ins)), out(rows * outs, NAN),
          more = random_values(rows * outs, 22);
      const std::vector<float> before = more;
      math().pack(weight.data(), outs, ins, packed.data());
      math().multiply(in.data(), packed.data(), out.data(), rows, ins, outs, false);
      math().multiply(in.data(), packed.data(), more.data(), rows, ins, outs, true);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < outs; ++o) {
          double sum = 0;
          for (int64_t i = 0; i < ins; ++i) sum += double{in[r * ins + i]} * weight[o * ins + i];
          ASSERT_NEAR(out[r * outs + o], sum, 2e-5) << rows << " rows, output " << o;
          ASSERT_NEAR(more[r * outs + o], before[r * outs + o] + sum, 2e-5);
        }
      }
    }
  }
}

TEST_P(VectorMathTest, LayerNormAddsTheBiasFirst) {
  const int64_t rows = 5, columns = 131;  // no multiple of any vector
  std::vector<float> h = random_values(rows * columns, 1, 3), y(h.size());
  const std::vector<float> before = h, bias = random_values(columns, 2),
                           weight = random_values(columns, 3), shift = random_values(columns, 4);
  math().bias_layer_norm(h.data(), bias.data(), weight.data(), shift.data(), y.data(), rows,
                         columns);
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < columns; ++c) mean += double{before[r * columns + c]} + bias[c];
    mean /= columns;
    for (int64_t c = 0; c < columns; ++c)
      variance += std::pow(double{before[r * columns + c]} + bias[c] - mean, 2);
    variance /= columns;
    for (int64_t c = 0; c < columns; ++c) {
      const double value = double{before[r * columns + c]} + bias[c];
      EXPECT_NEAR(h[r * columns + c], value, 1e-6);
      EXPECT_NEAR(y[r * columns + c],
                  (value - mean) / std::sqrt(variance + 1e-5) * weight[c] + shift[c], 1e-5);
    }
  }
}

TEST_P(VectorMathTest, LayerNormWithoutBiasLeavesTheInput) {
  std::vector<float> h = random_values(64, 5), y(64);
  const std::vector<float> before = h, ones(64, 1), zeros(64, 0);
  math().bias_layer_norm(h.data(), nullptr, ones.data(), zeros.data(), y.data(), 1, 64);
  EXPECT_EQ(h, before);
}

TEST_P(VectorMathTest, ARowThatIsNotFiniteGivesTheShift) {
  for (const int64_t columns : {5, 64, 200}) {
    for (const float bad : {INFINITY, -INFINITY, NAN, 1e30f, -3e38f}) {
      std::vector<float> h = random_values(3 * columns, 14), y(3 * columns);
      const std::vector<float> weight = random_values(columns, 15),
                               shift = random_values(columns, 16);
      std::vector<float> expected(3 * columns), clean = h;
      math().bias_layer_norm(clean.data(), nullptr, weight.data(), shift.data(), expected.data(), 3,
                             columns);
      std::copy(shift.begin(), shift.end(), expected.begin() + columns);
      h[static_cast<size_t>(columns + columns / 2)] = bad;
      math().bias_layer_norm(h.data(), nullptr, weight.data(), shift.data(), y.data(), 3, columns);
      EXPECT_EQ(y, expected) << bad;
      const float kept = h[static_cast<size_t>(columns + columns / 2)];
      EXPECT_TRUE(kept == bad || (std::isnan(kept) && std::isnan(bad)));
    }
  }
}

TEST_P(VectorMathTest, GeluIsTheErfForm) {
  std::vector<float> x;
  for (float v = -12; v <= 12; v += 0.001f) x.push_back(v);
  const std::vector<float> before = x, zeros(x.size(), 0);
  math().bias_gelu(x.data(), zeros.data(), 1, static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = before[i];
    EXPECT_NEAR(x[i], 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))), 2e-6) << v;
  }
}

TEST_P(VectorMathTest, SoftmaxIsCausalAndSumsToOne) {
  const int64_t rows = 7, first = 12, stride = 18;
  std::vector<float> scores = random_values(rows * stride, 6, 20);
  const std::vector<float> before = scores;
  math().causal_softmax(scores.data(), rows, first, stride);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = before.data() + r * stride;
    double largest = row[0], sum = 0;
    for (int64_t i = 0; i < first + r; ++i) largest = std::max<double>(largest, row[i]);
    for (int64_t i = 0; i < first + r; ++i) sum += std::exp(row[i] - largest);
    for (int64_t i = 0; i < stride; ++i) {
      const double expected = i < first + r ? std::exp(row[i] - largest) / sum : 0;
      EXPECT_NEAR(scores[r * stride + i], expected, 1e-6);
    }
  }
}

TEST_P(VectorMathTest, OneQueryAttends) {
  const int64_t count = 37;
  const std::vector<float> query = random_values(64, 7), keys = random_values(64 * count, 8),
                           values = random_values(64 * count, 9);
  std::vector<float> scores(count), out(64);
  math().attend_one(query.data(), keys.data(), values.data(), count, scores.data(), out.data());
  std::vector<double> weight(count);
  double sum = 0;
  for (int64_t k = 0; k < count; ++k) {
    double dot = 0;
    for (int c = 0; c < 64; ++c) dot += double{query[c]} * keys[64 * k + c];
    sum += weight[k] = std::exp(dot);
  }
  for (int c = 0; c < 64; ++c) {
    double expected = 0;
    for (int64_t k = 0; k < count; ++k) expected += weight[k] / sum * values[64 * k + c];
    EXPECT_NEAR(out[c], expected, 2e-5);
  }
}

TEST_P(VectorMathTest, BiasesAreAddedAndScaled) {
  std::vector<float> h = {1, 2, 3, 4, 5, 6}, out(3);
  const std::vector<float> bias = {10, 20, 30};
  math().add_bias(h.data(), bias.data(), 2, 3);
  EXPECT_EQ(h, (std::vector<float>{11, 22, 33, 14, 25, 36}));
  math().bias_scale(h.data(), bias.data(), 0.5f, out.data(), 3);
  EXPECT_EQ(out, (std::vector<float>{10.5f, 21, 31.5f}));
}

TEST_P(VectorMathTest, UpdateIsGuidedAndClamped) {
  const int64_t width = 19;
  const std::vector<float> conditional = random_values(2 * width, 10, 0.5f),
                           unconditional = random_values(2 * width, 11, 0.5f);
  const std::vector<float> z = random_values(width, 12), start = random_values(width, 13);
  std::vector<float> x = start;
  const double squares = math().update_token(conditional.data(), unconditional.data(), 0.75f,
                                             z.data(), 1.5f, x.data(), width);
  double expected_squares = 0;
  for (int64_t d = 0; d < width; ++d) {
    const double a = conditional[d] + 0.75 * (double{conditional[d]} - unconditional[d]);
    const double g =
        conditional[width + d] + 0.75 * (double{conditional[width + d]} - unconditional[width + d]);
    const double next = std::clamp(std::exp(a) * z[d] + g, -1.5, 1.5);
    EXPECT_NEAR(x[d], next, 1e-5);
    expected_squares += std::pow(next - start[d], 2);
  }
  EXPECT_NEAR(squares, expected_squares, 1e-4);
}

TEST_P(VectorMathTest, DivergenceIsSeen) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> outputs = {100, nan, 0, 0}, z = {1, 1};
  std::vector<float> x = {0, 0};
  math().update_token(outputs.data(), nullptr, 0, z.data(), 0, x.data(), 2);
  EXPECT_TRUE(std::isinf(x[0]));
  EXPECT_TRUE(std::isnan(x[1]));
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, VectorMathTest, testing::ValuesIn(variants()),
                         [](const auto& info) {
                           std::string name = info.param.isa;
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace tarflow::kernels
