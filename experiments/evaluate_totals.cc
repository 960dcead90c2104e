#include "experiments/evaluate_totals.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "framework/core/error.h"

namespace tarflow::experiments {
namespace {

void add(std::vector<record::Array>& arrays, std::string path, record::Array values) {
  values.path = std::move(path);
  arrays.push_back(std::move(values));
}

// count (G), sum (G, F), outer (G, F, F); groups without samples are zero.
void add_moments(std::vector<record::Array>& arrays, const std::string& prefix,
                 const metrics::MomentGroups& moments) {
  std::vector<int64_t> counts;
  at::Tensor sums, outers;
  for (const metrics::Moments& group : moments.groups()) {
    counts.push_back(group.count);
    if (group.count == 0) continue;
    const int64_t groups = static_cast<int64_t>(moments.groups().size()), f = group.sum.numel();
    if (!sums.defined()) {
      sums = at::zeros({groups, f}, at::kDouble);
      outers = at::zeros({groups, f, f}, at::kDouble);
    }
    sums[static_cast<int64_t>(counts.size()) - 1].copy_(group.sum);
    outers[static_cast<int64_t>(counts.size()) - 1].copy_(group.outer);
  }
  add(arrays, prefix + "count", array_values(counts));
  if (!sums.defined()) return;
  add(arrays, prefix + "sum", array_values(sums));
  add(arrays, prefix + "outer", array_values(outers));
}

void restore_moments(const ArrayMap& arrays, const std::string& prefix,
                     metrics::MomentGroups& moments) {
  const at::Tensor counts = arrays.tensor(prefix + "count");
  std::vector<metrics::Moments> groups(static_cast<size_t>(counts.numel()));
  at::Tensor sums, outers;
  for (int64_t g = 0; g < counts.numel(); ++g) {
    metrics::Moments& group = groups[static_cast<size_t>(g)];
    group.count = counts.const_data_ptr<int64_t>()[g];
    if (group.count == 0) continue;
    if (!sums.defined()) {
      sums = arrays.tensor(prefix + "sum");
      outers = arrays.tensor(prefix + "outer");
    }
    group.sum = sums[g].clone();
    group.outer = outers[g].clone();
  }
  moments.restore(std::move(groups));
}

std::string rate_prefix(size_t rate) { return fmt::format("rates/{}/", rate); }
std::string feature_prefix(size_t index) { return fmt::format("features/{}/", index); }

void add_features(std::vector<record::Array>& arrays, const std::string& prefix,
                  const FeatureTotals& features) {
  add(arrays, prefix + "seconds", array_values(std::vector<double>{features.seconds}));
  add(arrays, prefix + "nonfinite", array_values(std::vector<int64_t>{features.nonfinite}));
  add_moments(arrays, prefix, features.moments);
  if (!features.kept.empty()) add(arrays, prefix + "kept", array_values(at::cat(features.kept)));
}

void restore_features(const ArrayMap& arrays, const std::string& prefix, FeatureTotals& features) {
  features.seconds = arrays.number(prefix + "seconds");
  features.nonfinite = static_cast<int64_t>(arrays.number(prefix + "nonfinite"));
  restore_moments(arrays, prefix, features.moments);
  features.kept.clear();
  features.kept_count = 0;
  if (!arrays.contains(prefix + "kept")) return;
  const at::Tensor kept = arrays.tensor(prefix + "kept");
  features.keep_first(kept, kept.size(0));
}

}  // namespace

void FeatureTotals::keep_first(const at::Tensor& features, int64_t most) {
  const int64_t missing = most - kept_count;
  if (missing <= 0 || features.size(0) == 0) return;
  kept.push_back(features.slice(0, 0, missing).to(at::kCPU, at::kFloat));
  kept_count += kept.back().size(0);
}

at::Tensor RankTimes::packed() const {
  std::vector<double> values{sampling, gradient};
  values.insert(values.end(), denoising.begin(), denoising.end());
  values.insert(values.end(), features.begin(), features.end());
  return at::tensor(values, at::kDouble);
}

void RankTimes::unpack(const at::Tensor& packed) {
  const double* next = packed.const_data_ptr<double>();
  sampling = *next++;
  gradient = *next++;
  for (double& seconds : denoising) seconds = *next++;
  for (double& seconds : features) seconds = *next++;
}

void RankTimes::raise_to(const RankTimes& other) { unpack(at::maximum(packed(), other.packed())); }

void EvaluateTotals::keep_first(const at::Tensor& images) {
  const int64_t missing = kKeptImages - kept_count;
  if (missing <= 0) return;
  kept.push_back(images.slice(0, 0, missing).cpu());
  kept_count += kept.back().size(0);
}

std::vector<record::Array> EvaluateTotals::state() const {
  std::vector<record::Array> arrays = work.state();
  add(arrays, "chunks_done", array_values(std::vector<int64_t>{chunks_done}));
  add(arrays, "seconds",
      array_values(
          std::vector<double>{sampling_seconds, gradient_seconds, seconds, gather_seconds}));
  if (!kept.empty()) add(arrays, "kept", array_values(at::cat(kept)));
  for (size_t i = 0; i < rates.size(); ++i) {
    add(arrays, rate_prefix(i) + "seconds", array_values(std::vector<double>{rates[i].seconds}));
    add(arrays, rate_prefix(i) + "nonfinite",
        array_values(std::vector<int64_t>{rates[i].nonfinite}));
  }
  for (size_t i = 0; i < features.size(); ++i) add_features(arrays, feature_prefix(i), features[i]);
  return arrays;
}

size_t EvaluateTotals::state_bytes() const {
  size_t bytes = 0;
  for (const at::Tensor& images : kept) bytes += images.nbytes();
  for (const FeatureTotals& own : features) {
    for (const at::Tensor& part : own.kept) bytes += part.nbytes();
    for (const metrics::Moments& group : own.moments.groups())
      bytes += group.count > 0 ? group.outer.nbytes() : 0;
  }
  return bytes;
}

void EvaluateTotals::restore(const ArrayMap& arrays) {
  EvaluateTotals found = *this;  // the rates, the extractors and the division into groups
  found.work.restore(arrays);
  found.chunks_done = static_cast<int64_t>(arrays.number("chunks_done"));
  const std::vector<double> times = record::to_doubles(arrays.at("seconds"));
  found.sampling_seconds = times.at(0);
  found.gradient_seconds = times.at(1);
  found.seconds = times.at(2);
  found.gather_seconds = times.at(3);
  found.kept.clear();
  found.kept_count = 0;
  if (found.chunks_done > 0) found.keep_first(arrays.tensor("kept"));
  for (size_t i = 0; i < rates.size(); ++i) {
    found.rates[i].seconds = arrays.number(rate_prefix(i) + "seconds");
    found.rates[i].nonfinite = static_cast<int64_t>(arrays.number(rate_prefix(i) + "nonfinite"));
  }
  for (size_t i = 0; i < features.size(); ++i)
    restore_features(arrays, feature_prefix(i), found.features[i]);
  *this = std::move(found);
}

}  // namespace tarflow::experiments
