// results/SWEEP/sweep.json beside results/SWEEP.h5: what run_sweep noted of the sweep at its last
// run.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analysis/data/points.h"

namespace tarflow::analysis {

struct SweepNote {
  std::string file;                          // the sweep file, absolute; "" where it is not noted
  std::optional<std::set<std::string>> ids;  // of all points that the sweep had

  std::vector<std::string> set;  // words of --set at that run

  // Drops the ids of points that are no longer in the sweep. Where the ids are not noted (older
  // versions, a record that was copied alone) all stay.
  void drop_left(std::vector<std::string>& points) const;
};

// What is absent, damaged or another program's counts as not noted.
SweepNote sweep_note(const Source& source);

}  // namespace tarflow::analysis
