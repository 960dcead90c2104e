#include "framework/metrics/precision_recall.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "framework/core/error.h"
#include "framework/metrics/feature_sets.h"

namespace tarflow::metrics {
namespace {

constexpr int64_t kBlockElements = 16 << 20;  // distances at once
// Of |a|^2 + |b|^2: the rounding of a squared distance of some thousand features, and more.
constexpr double kRounding = 1e-12;

// Samples with their squared lengths.
struct Set {
  at::Tensor features;  // (n, F) float64
  at::Tensor squares;   // (n)

  int64_t size() const { return features.size(0); }
};

// Around `centre`, so that lengths are those of differences and little is cancelled.
Set centred(const at::Tensor& features, const at::Tensor& centre) {
  const at::Tensor moved = features.to(centre.device(), at::kDouble) - centre;
  return {moved, moved.square().sum(1)};
}

int64_t block_rows(const Set& columns) {
  return std::max<int64_t>(1, kBlockElements / columns.size());
}

// |a|^2 + |b|^2 of rows first..first+count of a and all of b.
at::Tensor square_sums(const Set& a, int64_t first, int64_t count, const Set& b) {
  return a.squares.narrow(0, first, count).unsqueeze(1) + b.squares.unsqueeze(0);
}

at::Tensor squared_distances(const Set& a, int64_t first, int64_t count, const Set& b,
                             const at::Tensor& sums) {
  const at::Tensor rows = a.features.narrow(0, first, count);
  return at::sub(sums, rows.matmul(b.features.t()), 2).clamp_min_(0);
}

// (n): squared distances to the k-th nearest neighbour within the set.
at::Tensor radii(const Set& set, int64_t k) {
  std::vector<at::Tensor> parts;
  const int64_t rows = block_rows(set);
  for (int64_t first = 0; first < set.size(); first += rows) {
    const int64_t count = std::min(rows, set.size() - first);
    at::Tensor distances =
        squared_distances(set, first, count, set, square_sums(set, first, count, set));
    distances.diagonal(first).zero_();  // a sample to itself
    const at::Tensor nearest = std::get<0>(distances.topk(k + 1, 1, /*largest=*/false));
    parts.push_back(std::get<0>(nearest.max(1)));
  }
  return at::cat(parts);
}

// The share of `samples` inside any of the balls around `centres`.
double share_inside(const Set& samples, const Set& centres, const at::Tensor& centre_radii) {
  int64_t inside = 0;
  const int64_t rows = block_rows(centres);
  for (int64_t first = 0; first < samples.size(); first += rows) {
    const int64_t count = std::min(rows, samples.size() - first);
    const at::Tensor sums = square_sums(samples, first, count, centres);
    const at::Tensor distances = squared_distances(samples, first, count, centres, sums);
    const at::Tensor edge = centre_radii.unsqueeze(0) + sums.mul(kRounding);
    inside += (distances <= edge).any(1).sum().item<int64_t>();
  }
  return static_cast<double>(inside) / static_cast<double>(samples.size());
}

}  // namespace

PrecisionRecall precision_recall(const at::Tensor& real, const at::Tensor& fake, int64_t k) {
  if (k < 1) throw Error(fmt::format("there is no {}-th nearest neighbour", k));
  require_feature_sets("precision and recall", real, fake, k + 1);
  const at::Tensor centre = real.to(fake.device(), at::kDouble).mean(0);
  const Set reals = centred(real, centre), fakes = centred(fake, centre);
  return {share_inside(fakes, reals, radii(reals, k)), share_inside(reals, fakes, radii(fakes, k))};
}

}  // namespace tarflow::metrics
