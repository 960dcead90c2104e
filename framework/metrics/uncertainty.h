// How far a Frechet distance of one run is from that of endless samples: the delete-one-group
// jackknife.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "framework/metrics/frechet.h"

namespace tarflow::metrics {

inline constexpr int64_t kFewestJackknifeGroups = 10;
inline constexpr int64_t kMostJackknifeGroups = 20;  // a distance each

// Neighbours are summed until kMostJackknifeGroups are left: group j of G holds the given groups i
// with floor(i G / count) = j. Groups without samples are passed over.
std::vector<Moments> jackknife_groups(std::span<const Moments> groups);

struct Jackknife {
  std::vector<int64_t> left_out;  // samples of each group
  std::vector<double> values;     // the statistic without that group
  double error = 0;               // standard error of the statistic of all
};

// `statistic` of all samples but those of one group, for each group, and jackknife_error of these.
// `whole`: the statistic of all samples. Throws Error for fewer than kFewestJackknifeGroups groups,
// and when fewer than two samples remain.
Jackknife jackknife(std::span<const Moments> groups, double whole,
                    const std::function<double(const Gaussian&)>& statistic);

}  // namespace tarflow::metrics
