// How far two records are apart: of two machines, two builds, a run and its repetition.
#pragma once

#include <string>

#include "analysis/show/table.h"
#include "framework/record/record.h"

namespace tarflow::analysis {

struct CompareOptions {
  double tolerance = 0;   // largest deviation of a number that is let pass; 0: every bit
  bool relative = false;  // the tolerance is one of |a - b| / max(|a|, |b|), else of |a - b|
  bool times = false;     // compares times and the device as well
};

struct Comparison {
  Table table;  // one row a column or array that differs anywhere, the largest deviation first
  std::string verdict;  // one line
  bool within = false;  // the same points, and no deviation beyond the tolerance
};

// Points are matched by id and arrays through their points, since the hash of a timed job depends
// on the device. Left out: the column `job`, job.json and the environment; without `times` also
// columns and arrays of times, and the column `device`. Texts, absent values, other types and other
// shapes are beyond any tolerance; NaN equals NaN, and 0 differs from -0 in the bits alone.
Comparison compare(const record::SweepRecord& a, const record::SweepRecord& b,
                   const CompareOptions& options);

}  // namespace tarflow::analysis
