#include "framework/metrics/moment_groups.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/core/error.h"

namespace tarflow::metrics {

int64_t moment_group_count(int64_t chunks, int64_t features) {
  const int64_t fitting = kMomentBytes / std::max<int64_t>(features * features * 8, 1);
  return std::min(chunks, std::max(fitting, kFewestMomentGroups));
}

MomentGroups::MomentGroups(int64_t chunks, int64_t features)
    : chunks_(chunks),
      features_(features),
      groups_(static_cast<size_t>(moment_group_count(chunks, features))) {}

void MomentGroups::add(int64_t chunk, Moments moments) {
  if (moments.count == 0) return;
  if (moments.sum.numel() != features_) {
    throw Error(fmt::format("samples of {} features cannot join samples of {}", moments.sum.numel(),
                            features_),
                "use one feature extractor throughout");
  }
  const int64_t count = static_cast<int64_t>(groups_.size());
  Moments& group = groups_.at(static_cast<size_t>(chunk * count / chunks_));
  if (group.count == 0) {
    group = std::move(moments);
    return;
  }
  group.count += moments.count;
  group.sum.add_(moments.sum);
  group.outer.add_(moments.outer);
}

void MomentGroups::restore(std::vector<Moments> groups) {
  const bool fits =
      groups.size() == groups_.size() &&
      std::all_of(groups.begin(), groups.end(), [&](const Moments& group) {
        return group.count == 0 || (group.sum.sizes() == at::IntArrayRef({features_}) &&
                                    group.outer.sizes() == at::IntArrayRef({features_, features_}));
      });
  if (!fits) throw Error("the moments kept do not fit the run");
  groups_ = std::move(groups);
}

Moments MomentGroups::total() const { return combine(groups_); }

}  // namespace tarflow::metrics
