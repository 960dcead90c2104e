// Moments of a run in groups of consecutive chunks: bounded memory for any number of chunks, and
// sums that do not depend on where a run was interrupted.
#pragma once

#include <cstdint>
#include <vector>

#include "framework/metrics/frechet.h"

namespace tarflow::metrics {

inline constexpr int64_t kMomentBytes = 64 << 20;  // of all (F, F) sums of a run, where that allows
inline constexpr int64_t kFewestMomentGroups = 10;

// How many groups hold the moments of `chunks` chunks of F features: one a chunk while their (F, F)
// sums fit kMomentBytes, else as many as fit, but kFewestMomentGroups at least.
int64_t moment_group_count(int64_t chunks, int64_t features);

// Group g of G holds the chunks c with floor(c G / chunks) = g. Numbers follow from the chunks
// alone.
class MomentGroups {
 public:
  MomentGroups() = default;
  MomentGroups(int64_t chunks, int64_t features);

  // Adds the moments of one chunk; a group's chunks in the order of their index. Chunks without
  // samples may be left out. Throws Error for another F.
  void add(int64_t chunk, Moments moments);

  // By group; one without samples has count 0.
  const std::vector<Moments>& groups() const { return groups_; }
  // As they were, when a run goes on. Throws Error when their number or F differs.
  void restore(std::vector<Moments> groups);

  Moments total() const;  // the sums of the groups in their order

 private:
  int64_t chunks_ = 0, features_ = 0;
  std::vector<Moments> groups_;
};

}  // namespace tarflow::metrics
