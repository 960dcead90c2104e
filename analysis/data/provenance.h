// Where the numbers of a page come from: each measurement with its job, settings, environment and
// state of the source.
#pragma once

#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/html.h"

namespace tarflow::analysis {

struct Provenance {
  std::string html;  // sections below a heading
  Anchors anchors;   // by Point::origin()
};

// kShared leaves out what is each point's own, and the anchors with it.
enum class Detail { kEachPoint, kShared };

// Settings that all points of an experiment share are told once, as are environments.
Provenance provenance(const std::vector<Point>& points, Detail detail);

}  // namespace tarflow::analysis
