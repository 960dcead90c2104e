#include "framework/metrics/uncertainty.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "framework/core/error.h"
#include "framework/core/statistics.h"

namespace tarflow::metrics {
namespace {

Moments without(const Moments& all, const Moments& part) {
  return {all.count - part.count, all.sum - part.sum, all.outer - part.outer};
}

}  // namespace

std::vector<Moments> jackknife_groups(std::span<const Moments> groups) {
  std::vector<Moments> filled;
  for (const Moments& group : groups) {
    if (group.count > 0) filled.push_back(group);
  }
  if (static_cast<int64_t>(filled.size()) <= kMostJackknifeGroups) return filled;
  std::vector<std::vector<Moments>> parts(kMostJackknifeGroups);
  for (size_t i = 0; i < filled.size(); ++i)
    parts[i * parts.size() / filled.size()].push_back(std::move(filled[i]));
  std::vector<Moments> merged;
  for (const std::vector<Moments>& part : parts) merged.push_back(combine(part));
  return merged;
}

Jackknife jackknife(std::span<const Moments> groups, double whole,
                    const std::function<double(const Gaussian&)>& statistic) {
  if (static_cast<int64_t>(groups.size()) < kFewestJackknifeGroups) {
    throw Error(fmt::format("a jackknife needs at least {} groups; there are {}",
                            kFewestJackknifeGroups, groups.size()),
                "sample more chunks, or smaller ones");
  }
  const Moments all = combine(groups);
  Jackknife result;
  for (const Moments& group : groups) {
    result.left_out.push_back(group.count);
    result.values.push_back(statistic(without(all, group).gaussian()));
  }
  const std::vector<double> sizes(result.left_out.begin(), result.left_out.end());
  result.error = jackknife_error(result.values, sizes, whole);
  return result;
}

}  // namespace tarflow::metrics
