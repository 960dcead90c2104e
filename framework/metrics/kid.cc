#include "framework/metrics/kid.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "framework/core/error.h"
#include "framework/metrics/feature_sets.h"
#include "framework/tensor/philox.h"

namespace tarflow::metrics {
namespace {

// The sum of k(x_i, y_j).
double kernel_sum(const at::Tensor& kernel) { return kernel.sum().item<double>(); }

at::Tensor kernel(const at::Tensor& x, const at::Tensor& y) {
  return x.matmul(y.t()).div_(static_cast<double>(x.size(1))).add_(1).pow_(3);
}

// The sum over i != j of k(x_i, x_j).
double off_diagonal_sum(const at::Tensor& x) {
  const at::Tensor k = kernel(x, x);
  return (k.sum() - k.diagonal().sum()).item<double>();
}

// `size` different numbers below n: the first steps of a Fisher-Yates shuffle. `which` is a stream
// of its own for each subset of each set.
at::Tensor draw(int64_t n, int64_t size, uint64_t seed, uint64_t which) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = 0; i < size; ++i) {
    const Random4 random = philox4x32(seed, which, static_cast<uint32_t>(i), Stream::kSubsets);
    const uint64_t word = (uint64_t{random.word[0]} << 32) | random.word[1];
    const auto left = static_cast<uint64_t>(n - i);
    const auto pick = static_cast<int64_t>((static_cast<unsigned __int128>(word) * left) >> 64);
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(i + pick)]);
  }
  order.resize(static_cast<size_t>(size));
  return at::tensor(order, at::kLong);
}

at::Tensor subset(const at::Tensor& features, int64_t size, uint64_t seed, uint64_t which,
                  const at::Device& device) {
  const at::Tensor indices = draw(features.size(0), size, seed, which).to(features.device());
  return features.index_select(0, indices).to(device, at::kDouble);
}

}  // namespace

double polynomial_mmd2(const at::Tensor& x, const at::Tensor& y) {
  require_feature_sets("a kernel distance", x, y, 2);
  if (x.size(0) != y.size(0)) {
    throw Error(fmt::format("a kernel distance compares sets of one size, not {} and {} samples",
                            x.size(0), y.size(0)));
  }
  const double m = static_cast<double>(x.size(0));
  const at::Tensor a = x.to(at::kDouble), b = y.to(at::kDouble);
  return (off_diagonal_sum(a) + off_diagonal_sum(b)) / (m * (m - 1)) -
         2 * kernel_sum(kernel(a, b)) / (m * m);
}

Kid kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KidOptions& options) {
  require_feature_sets("a kernel distance", real, fake, 2);
  if (options.subsets < 1 || options.subset_size < 2) {
    throw Error(fmt::format("a kernel distance needs subsets of two samples or more, not {} of {}",
                            options.subsets, options.subset_size));
  }
  Kid kid;
  kid.subsets = options.subsets;
  kid.subset_size = std::min({options.subset_size, real.size(0), fake.size(0)});
  std::vector<double> values;
  for (int64_t s = 0; s < options.subsets; ++s) {
    const auto which = static_cast<uint64_t>(s) * 2;
    values.push_back(
        polynomial_mmd2(subset(real, kid.subset_size, options.seed, which, fake.device()),
                        subset(fake, kid.subset_size, options.seed, which + 1, fake.device())));
  }
  const double n = static_cast<double>(values.size());
  kid.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - kid.mean) * (value - kid.mean);
  kid.deviation = std::sqrt(squares / n);
  return kid;
}

}  // namespace tarflow::metrics
