// The kernels of the fused evaluator: one body for both twins and both compute types, against
// double precision.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/kernels/attention.h"
#include "framework/kernels/bias_gelu.h"
#include "framework/kernels/decode_attention.h"
#include "framework/kernels/embed.h"
#include "framework/kernels/guided_update.h"
#include "framework/kernels/residual.h"
#include "framework/kernels/residual_norm.h"
#include "framework/kernels/store_keys_values.h"
#include "tests/support/devices.h"

namespace tarflow::kernels {
namespace {

struct Case {
  const char* name;
  const char* device;
  at::ScalarType type;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class FusedKernelsTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    skip_without(GetParam().device);
    at::manual_seed(7);
  }
  at::Tensor random(at::IntArrayRef sizes) const {  // in the compute type
    return at::randn(sizes).to(GetParam().type).to(GetParam().device);
  }
  at::Tensor full(at::IntArrayRef sizes) const { return at::randn(sizes).to(GetParam().device); }
  at::Tensor unset(at::IntArrayRef sizes, at::ScalarType type) const {  // what a kernel must write
    return at::full(sizes, 1e30, at::TensorOptions(type).device(GetParam().device));
  }
  at::Tensor number(int64_t value, at::ScalarType type) const {
    return at::full({1}, value, at::TensorOptions(type).device(GetParam().device));
  }
  // Many rows choose a branch on a GPU; on a CPU they would only take time.
  static int64_t rows_here(int64_t rows) {
    return std::string(GetParam().device) == "cuda" ? rows : std::min<int64_t>(rows, 7);
  }
  // One rounding to the compute type beside a few of fp32.
  double tolerance() const { return GetParam().type == at::kFloat ? 3e-6 : 1.0 / 128; }

  void expect_close(const at::Tensor& got, const at::Tensor& expected, double factor = 1) const {
    const at::Tensor reference = expected.cpu().to(at::kDouble);
    const at::Tensor error = (got.cpu().to(at::kDouble) - reference).abs() / (reference.abs() + 1);
    EXPECT_LT(error.max().item<double>(), factor * tolerance());  // not-a-number is not below
  }
};

at::Tensor exact(const at::Tensor& tensor) { return tensor.cpu().to(at::kDouble); }

TEST_P(FusedKernelsTest, TokensAreTakenAndPadded) {
  const at::Tensor x = full({3, 9, 12}), tokens = unset({3, 4, 16}, GetParam().type);
  for (const Position& place : {Position{2, {}}, Position{1, number(3, at::kLong)}}) {
    const int64_t first = place.counter.defined() ? 4 : 2;
    take_tokens(x, place, tokens);
    EXPECT_TRUE(
        at::equal(tokens.slice(2, 0, 12), x.slice(1, first, first + 4).to(GetParam().type)));
    EXPECT_EQ(tokens.slice(2, 12).to(at::kFloat).abs().max().item<float>(), 0);
  }
}

TEST_P(FusedKernelsTest, EmbeddingAddsPositionAndClass) {
  const at::Tensor projected = random({2, 3, 64}), positions = full({9, 64}),
                   classes = full({4, 64}), h = unset({4, 3, 64}, at::kFloat);
  embed({projected, positions, classes, {2, number(3, at::kLong)}, h});
  const at::Tensor both = at::cat({exact(projected), exact(projected)});
  const at::Tensor expected = both + exact(positions).slice(0, 5, 8) + exact(classes).unsqueeze(1);
  EXPECT_LT((exact(h) - expected).abs().max().item<double>(), 3e-6);
}

// Rows and channels for every branch of the CUDA twin: a block has a row (few rows, channels in
// whole warps), or a warp has a row of 1, 2, 4, 6, 8, 16 or 32 quads a lane (many rows, or channels
// that fill no warp).
constexpr std::pair<int64_t, int64_t> kNormShapes[] = {
    {7, 128},  {7, 768},     {5, 2048},   {5, 4096},    {7, 64},      // a block; 1
    {7, 192},  {5000, 64},   {5000, 256}, {7, 320},     {5000, 512},  // 2, 1, 2, 4, 4
    {7, 576},  {5000, 768},  {7, 832},    {5000, 1024}, {7, 1088},    // 6, 6, 8, 8, 16
    {7, 1984}, {4097, 2048}, {7, 2112},   {4097, 4096}};              // 16, 16, 32, 32

TEST_P(FusedKernelsTest, ResidualNormAddsAndNormalises) {
  for (const auto& [most, c] : kNormShapes) {
    const int64_t rows = rows_here(most);
    SCOPED_TRACE(testing::Message() << rows << " rows of " << c);
    const at::Tensor h = full({rows, c}), added = random({rows, c}), shift = full({c}),
                     weight = full({c}), bias = full({c}), out = unset({rows, c}, GetParam().type);
    const at::Tensor before = exact(h), sum = before + exact(added) + exact(shift);
    const auto normed = [&](const at::Tensor& of) {
      return at::layer_norm(of, {c}, exact(weight), exact(bias), 1e-5);
    };
    residual_norm({h, {}, {}, false, weight, bias, out});
    expect_close(out, normed(before));
    residual_norm({h, {}, shift, false, weight, bias, out});
    expect_close(out, normed(before + exact(shift)));
    EXPECT_TRUE(at::equal(exact(h), before));
    residual_norm({h, added, shift, true, weight, bias, out});
    expect_close(out, normed(sum));
    EXPECT_LT((exact(h) - sum).abs().max().item<double>(), 3e-6);
    residual_norm({h, added, {}, false, {}, {}, out});
    expect_close(out, sum + exact(added));
  }
}

// Rows that have no finite variance: Inf, NaN, squares that overflow, a mean that overflows.
TEST_P(FusedKernelsTest, ARowThatIsNotFiniteGivesTheBiasAndKeepsItsStream) {
  for (const auto& [most, c] : kNormShapes) {
    const int64_t rows = rows_here(most);
    SCOPED_TRACE(testing::Message() << rows << " rows of " << c);
    const at::Tensor h = full({rows, c}), weight = full({c}), bias = full({c}),
                     plain = unset({rows, c}, GetParam().type), out = plain.clone();
    residual_norm({h, {}, {}, false, weight, bias, plain});
    h[0][3].fill_(INFINITY);
    h[1][c - 1].fill_(NAN);
    h[2][5].fill_(-1e30);
    h[3].mul_(1e38).clamp_(2e38, 3e38);
    const at::Tensor before = h.clone();
    residual_norm({h, {}, full({c}) * 0, true, weight, bias, out});
    EXPECT_TRUE(at::equal(out.slice(0, 0, 4), bias.to(GetParam().type).expand({4, c})));
    EXPECT_TRUE(at::equal(out.slice(0, 4), plain.slice(0, 4)));
    EXPECT_TRUE(at::equal(h.nan_to_num(7), before.nan_to_num(7)));
    residual_norm({h, {}, {}, false, {}, {}, out});
    EXPECT_TRUE(out[0][3].isinf().item<bool>()) << "the outputs' layer sees the stream as it is";
    EXPECT_TRUE(out[1][c - 1].isnan().item<bool>());
  }
}

TEST_P(FusedKernelsTest, GeluIsThatOfTheErrorFunction) {
  const at::Tensor rows = random({5, 256}) * 3, bias = random({256});
  const at::Tensor sum = exact(rows) + exact(bias);
  bias_gelu(rows, bias);
  expect_close(rows, at::gelu(sum));
}

TEST_P(FusedKernelsTest, KeysAndValuesAreStored) {
  const int64_t b = 4, n = 3, heads = 2, tokens = 8;
  const at::Tensor qkv = random({b, n, 3, heads, 64}),
                   keys = unset({b, heads, tokens, 64}, GetParam().type), values = keys.clone(),
                   untouched = keys.clone();
  const at::Tensor before = exact(qkv);
  const at::Tensor lowered = number(0, at::kInt).repeat(2), up = number(1, at::kInt).repeat(2);
  const Position third{1, number(2, at::kLong)}, start{0, {}};
  store_keys_values({qkv, keys, values, third, lowered});
  const at::Tensor parts = before.permute({2, 0, 3, 1, 4});
  EXPECT_TRUE(at::equal(exact(keys).slice(2, 3, 6), parts[1]));
  EXPECT_TRUE(at::equal(exact(values).slice(2, 3, 6), parts[2]));
  for (const at::Tensor& cache : {keys, values}) {
    EXPECT_TRUE(at::equal(cache.slice(2, 0, 3), untouched.slice(2, 0, 3)));
    EXPECT_TRUE(at::equal(cache.slice(2, 6), untouched.slice(2, 6)));
  }
  EXPECT_TRUE(at::equal(exact(qkv), before));

  const at::Tensor held = keys.clone();
  store_keys_values({random({b, n, 3, heads, 64}), keys, values, start, up});
  EXPECT_TRUE(at::equal(keys, held)) << "a raised flag leaves the cache as it is";
}

// softmax(scale q k^T) v in double precision: q (B, n, heads, 64) over k, v (B, m, heads, 64),
// causal from the lower right corner.
at::Tensor exact_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           int64_t images, double query_scale) {
  at::Tensor query = exact(q).transpose(1, 2) / 8;
  query.slice(0, images).mul_(query_scale);
  const int64_t n = q.size(1), m = k.size(1);
  const at::Tensor hidden = at::ones({n, m}, at::kBool).triu(m - n + 1);
  const at::Tensor scores =
      at::matmul(query, exact(k).permute({0, 2, 3, 1})).masked_fill(hidden, -INFINITY);
  return at::matmul(at::softmax(scores, -1), exact(v).transpose(1, 2)).transpose(1, 2);
}

// The same of one new token (B, 3, heads, 64) over the cached tokens and itself.
at::Tensor exact_attention(const at::Tensor& qkv, const at::Tensor& keys, const at::Tensor& values,
                           int64_t token, int64_t images, double query_scale) {
  const auto with_new = [&](const at::Tensor& cache, int64_t part) {
    return at::cat(
        {exact(cache).slice(2, 0, token).transpose(1, 2), exact(qkv).slice(1, part, part + 1)}, 1);
  };
  return exact_attention(qkv.slice(1, 0, 1), with_new(keys, 1), with_new(values, 2), images,
                         query_scale)
      .squeeze(1);
}

// Scores of some 20: queries that are scaled and then rounded to bf16 once more move them by a few
// hundredths, and the weights by a few percent.
TEST_P(FusedKernelsTest, AttentionRoundsQueriesOnce) {
  for (const int64_t images : {1, 3}) {
    for (const auto& [n, m] :
         {std::pair<int64_t, int64_t>{1, 1}, {1, 40}, {7, 7}, {7, 40}, {130, 130}, {31, 300}}) {
      for (const double query_scale : {1.0, 1 / 0.3}) {
        SCOPED_TRACE(testing::Message() << n << " over " << m << ", scale " << query_scale);
        const at::Tensor qkv = random({2 * images, n, 3, 2, 64});
        qkv.select(2, 0).mul_(4);
        const at::Tensor keys = random({2 * images, 2, 512, 64}),
                         values = random({2 * images, 2, 512, 64});
        Attention work{qkv.select(2, 0), qkv.select(2, 1), qkv.select(2, 2), images, query_scale};
        if (m > n) {  // as they lie in a cache
          work.keys = keys.slice(2, 0, m).transpose(1, 2);
          work.values = values.slice(2, 0, m).transpose(1, 2);
        }
        const at::Tensor expected =
            exact_attention(work.query, work.keys, work.values, images, query_scale);
        const at::Tensor got = attention(work);
        ASSERT_EQ(got.sizes(), expected.sizes());
        EXPECT_EQ(got.scalar_type(), GetParam().type);
        expect_close(got, expected, GetParam().type == at::kFloat ? 10 : 1);
        EXPECT_TRUE(at::equal(exact(work.query), exact(qkv).select(2, 0))) << "queries stay";
      }
    }
  }
}

// Few and many sequences: with and without splits of the keys.
TEST_P(FusedKernelsTest, DecodeAttentionIsSoftmaxOverTheCache) {
  for (const int64_t images : {1, 300}) {
    const int64_t b = 2 * images, heads = 3, tokens = images > 1 ? 131 : 513;
    const at::Tensor keys = random({b, heads, tokens, 64}), values = random({b, heads, tokens, 64});
    for (const int64_t token : {0, 1, 15, 16, 64, 100, 130, 300, 511, 512}) {
      if (token >= tokens) continue;
      const at::Tensor qkv = random({b, 3, heads, 64}) * 2,
                       out = unset({b, heads, 64}, GetParam().type);
      const at::Tensor expected = exact_attention(qkv, keys, values, token, images, 1 / 0.3);
      const at::Tensor later = keys.slice(2, token + 1).clone();
      decode_attention(
          {qkv, keys, values, {0, number(token, at::kLong)}, images, 1 / 0.3, {}, out});
      SCOPED_TRACE(token);
      // Scores of 20 have errors of 1e-6 in fp32, which the exponential makes relative ones.
      expect_close(out, expected, GetParam().type == at::kFloat ? 10 : 1);
      EXPECT_TRUE(at::equal(keys.select(2, token), qkv.select(1, 1)));
      EXPECT_TRUE(at::equal(values.select(2, token), qkv.select(1, 2)));
      EXPECT_TRUE(at::equal(keys.slice(2, token + 1), later));
    }
  }
}

TEST_P(FusedKernelsTest, DecodeAttentionKeepsLargeScoresAndNotANumber) {
  const at::Tensor keys = random({2, 1, 200, 64}) * 30, values = random({2, 1, 200, 64}),
                   qkv = random({2, 3, 1, 64}) * 30, out = unset({2, 1, 64}, GetParam().type);
  const at::Tensor expected = exact_attention(qkv, keys, values, 150, 2, 1);
  const at::Tensor up = number(1, at::kInt).repeat(2);
  const Position place{150, {}};
  decode_attention({qkv, keys, values, place, 2, 1.0, up, out});
  const at::Tensor error = (exact(out) - expected).abs();
  EXPECT_LT(error.max().item<double>(), GetParam().type == at::kFloat ? 5e-3 : 2e-2);
  qkv.select(0, 1).fill_(NAN);
  decode_attention({qkv, keys, values, place, 2, 1.0, {}, out});
  EXPECT_FALSE(out.select(0, 0).isnan().any().item<bool>());
  EXPECT_TRUE(out.select(0, 1).isnan().all().item<bool>());
}

TEST_P(FusedKernelsTest, ARaisedFlagKeepsTheIterate) {
  const at::Tensor outputs = random({2, 1, 24}), z = full({2, 5, 12}), x = full({2, 5, 12});
  const at::Tensor before = x.clone();
  GuidedUpdate update{outputs, {}, z, x, 1, 0, 0, {}, number(2, at::kLong)};
  update.stopped = number(1, at::kInt).repeat(2);
  guided_update(update);
  EXPECT_TRUE(at::equal(x, before));
  update.stopped.zero_();
  guided_update(update);
  EXPECT_TRUE(at::equal(x.slice(1, 0, 4), before.slice(1, 0, 4)));
  EXPECT_FALSE(at::equal(x.select(1, 4), before.select(1, 4))) << "token 1 + 2 + 1";
}

TEST_P(FusedKernelsTest, ResidualsAreCountedUntilTheStop) {
  const auto options = at::TensorOptions(at::kDouble).device(GetParam().device);
  Residual work;
  work.change = at::full({300}, 3.0, options);
  work.history = at::zeros({4}, options);
  work.done = number(0, at::kInt);
  work.stopped = number(0, at::kInt).repeat(300);
  work.finished = number(0, at::kInt);
  work.width = 10;
  work.stop = Stop{Norm::kPublished, 0.00995};
  const double elements = 300 * 10;
  residual(work);
  EXPECT_EQ(work.finished.item<int>(), 0);
  EXPECT_EQ(work.change.abs().max().item<double>(), 0);
  work.change.fill_(std::pow(0.0099 * elements, 2) / 300);
  residual(work);
  EXPECT_EQ(work.finished.item<int>(), 1) << "a residual that is not above the threshold";
  EXPECT_EQ(work.stopped.min().item<int>(), 1) << "all images stop together";
  work.change.fill_(5.0);
  residual(work);
  EXPECT_EQ(work.done.item<int>(), 2);
  EXPECT_EQ(work.change.min().item<double>(), 5.0);
  EXPECT_NEAR(work.history[0].item<double>(), 30 / elements, 1e-12);
  EXPECT_NEAR(work.history[1].item<double>(), 0.0099, 1e-12);  // of 300 sums
  EXPECT_EQ(work.history[2].item<double>(), 0);

  work.finished.zero_();
  work.stopped.zero_();
  work.change.fill_(NAN);
  residual(work);
  EXPECT_EQ(work.finished.item<int>(), 1) << "not-a-number stops, as in the published code";
}

// Every norm and scope, of statistics whose reductions are known.
TEST_P(FusedKernelsTest, StopsReduceTheStatisticsOfTokens) {
  const auto options = at::TensorOptions(at::kDouble).device(GetParam().device);
  const int64_t images = 5, tokens = 300, width = 4, first = 3, last = 290;
  at::manual_seed(5);
  const at::Tensor given = at::rand({images, tokens, kStatistics}, at::kDouble) + 0.1;
  const at::Tensor part = given.slice(1, first, last), squares = part.select(2, kSquares);
  const std::map<Norm, at::Tensor> each = {
      {Norm::kMaxAbs, part.select(2, kLargest).amax(1)},
      {Norm::kRelativeMse, squares.sum(1) / part.select(2, kSize).sum(1)},
      {Norm::kTokenRms, (squares.amax(1) / width).sqrt()},
      {Norm::kPublished, squares.sum(1).sqrt() / width}};
  for (const auto& [norm, values] : each) {
    const double all =
        norm == Norm::kRelativeMse ? (squares.sum() / part.select(2, kSize).sum()).item<double>()
        : norm == Norm::kPublished ? squares.sum().sqrt().item<double>() / (images * width)
                                   : values.max().item<double>();
    for (const Scope scope : {Scope::kChunk, Scope::kImage}) {
      const double middle = values.median().item<double>() * (1 + 1e-9);
      for (const double threshold : scope == Scope::kImage
                                        ? std::vector<double>{middle, 1e9, 0}
                                        : std::vector<double>{all * (1 + 1e-9), all * (1 - 1e-9)}) {
        SCOPED_TRACE(testing::Message()
                     << to_string(norm) << " " << to_string(scope) << " " << threshold);
        Residual work;
        work.change = at::zeros({images}, options);
        work.statistics = given.clone().to(GetParam().device);
        work.first = first;
        work.last = last;
        work.history = at::zeros({4}, options);
        work.done = number(0, at::kInt);
        work.stopped = number(0, at::kInt).repeat(images);
        work.finished = number(0, at::kInt);
        work.width = width;
        work.stop = Stop{norm, threshold, scope};
        residual(work);
        const at::Tensor expected = scope == Scope::kImage
                                        ? values.le(threshold)
                                        : at::full({images}, all <= threshold, at::kBool);
        EXPECT_TRUE(at::equal(work.stopped.cpu().to(at::kBool), expected));
        EXPECT_EQ(work.finished.item<int>() != 0, expected.all().item<bool>());
        EXPECT_NEAR(work.history[0].item<double>(),
                    squares.sum().sqrt().item<double>() / (images * width), 1e-9);
        const at::Tensor left = work.statistics.cpu();
        EXPECT_EQ(left.slice(1, first, last).slice(2, kSquares, kSize).abs().max().item<double>(),
                  0);
        EXPECT_TRUE(at::equal(left.select(2, kSize), given.select(2, kSize)));
        EXPECT_TRUE(at::equal(left.slice(1, last), given.slice(1, last)));
      }
    }
  }
}

// Flags are an image's: of a stop for each image, both of its rows keep what they have.
TEST_P(FusedKernelsTest, AStoppedImageKeepsItsCache) {
  const int64_t images = 2, heads = 2, tokens = 8;
  const at::Tensor stopped = number(0, at::kInt).repeat(images);
  stopped[1].fill_(1);
  const auto expect_kept = [&](const at::Tensor& cache, const at::Tensor& before, int64_t token) {
    for (const int64_t row : {0, 1, 2, 3}) {
      EXPECT_EQ(at::equal(cache[row].select(1, token), before[row].select(1, token)), row % 2 == 1)
          << "row " << row;
    }
  };
  const at::Tensor keys = random({2 * images, heads, tokens, 64}), values = random(keys.sizes()),
                   held_keys = keys.clone(), held_values = values.clone();
  store_keys_values({random({2 * images, 3, 3, heads, 64}), keys, values, {2, {}}, stopped});
  expect_kept(keys, held_keys, 3);
  expect_kept(values, held_values, 3);
  decode_attention({random({2 * images, 3, heads, 64}),
                    keys,
                    values,
                    {6, {}},
                    images,
                    1.0,
                    stopped,
                    unset({2 * images, heads, 64}, GetParam().type)});
  expect_kept(keys, held_keys, 6);
  expect_kept(values, held_values, 6);
}

INSTANTIATE_TEST_SUITE_P(Twins, FusedKernelsTest,
                         testing::Values(Case{"cpu_float32", "cpu", at::kFloat},
                                         Case{"cpu_bfloat16", "cpu", at::kBFloat16},
                                         Case{"cuda_float32", "cuda", at::kFloat},
                                         Case{"cuda_bfloat16", "cuda", at::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tarflow::kernels
