// Attention over a prefix whose length lies on the device, against the same over slices.
#include "framework/kernels/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

namespace tarflow::kernels {
namespace {

constexpr int64_t kBatch = 4, kHeads = 3, kTokens = 256;

class LengthsTest : public testing::TestWithParam<std::tuple<std::string, int64_t>> {
 protected:
  void SetUp() override {
    if (std::get<0>(GetParam()) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  }
  at::Device device() const { return at::Device(std::get<0>(GetParam())); }
  int64_t width() const { return std::get<1>(GetParam()); }
  at::Tensor random(at::IntArrayRef shape) const {
    return at::randn(shape).to(at::kBFloat16).to(device());
  }
};

TEST_P(LengthsTest, AgreesWithTheSamePrefixAsASlice) {
  at::manual_seed(7);
  const int64_t n = width();
  const at::Tensor qkv = random({kBatch, n, 3, kHeads, 64}), keys = random({kBatch, kHeads, kTokens, 64}),
                   values = random({kBatch, kHeads, kTokens, 64}),
                   lengths = at::zeros({2, kBatch}, at::TensorOptions(at::kInt).device(device()));
  const at::Tensor counter = at::zeros({1}, at::TensorOptions(at::kLong).device(device()));
  for (const double scale : {1.0, 0.4}) {
    for (const int64_t first : {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{100}, kTokens - n,
                                kTokens - n / 2 - 1, kTokens - 1}) {
      SCOPED_TRACE(testing::Message() << "from " << first << ", scale " << scale);
      counter.fill_(first);
      set_lengths({0, counter}, n, kTokens, lengths);
      const int64_t last = std::min(first + n, kTokens), count = last - first;
      EXPECT_EQ(lengths[0][1].item<int>(), count);
      EXPECT_EQ(lengths[1][kBatch - 1].item<int>(), last);
      // What lies beyond the prefix was left by other tokens: finite, as clean_cache() sees to it.
      at::Tensor dirty_keys = keys.clone(), dirty_values = values.clone();
      dirty_keys.slice(2, last).fill_(1e4);
      dirty_values.slice(2, last).fill_(-1e4);
      const Attention whole{qkv.select(2, 0),  dirty_keys.transpose(1, 2),
                            dirty_values.transpose(1, 2), kBatch / 2, scale, lengths};
      const at::Tensor got = attention(whole).slice(1, 0, count).to(at::kFloat);
      const Attention slice{qkv.select(2, 0).slice(1, 0, count).to(at::kFloat).cpu(),
                            keys.slice(2, 0, last).transpose(1, 2).to(at::kFloat).cpu(),
                            values.slice(2, 0, last).transpose(1, 2).to(at::kFloat).cpu(),
                            kBatch / 2, scale};
      const at::Tensor expected = attention(slice);
      EXPECT_LE((got.cpu() - expected).abs().max().item<double>(), 3e-2);
      EXPECT_LE(((got.cpu() - expected).norm() / expected.norm()).item<double>(), 1e-2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LengthsTest,
                         testing::Combine(testing::Values("cpu", "cuda"),
                                          testing::Values(int64_t{2}, int64_t{16}, int64_t{64},
                                                          int64_t{100}, kTokens)),
                         [](const auto& entry) {
                           return std::get<0>(entry.param) + std::to_string(std::get<1>(entry.param));
                         });

}  // namespace
}  // namespace tarflow::kernels
