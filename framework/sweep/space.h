// The points that the settings of an experiment span, as a tree of spaces:
//
//   space   = {field: value ..., grid: group, zip: group, include: [entry ...], exclude: [condition
//   ...]} group   = {field: [values] ..., grid: group, zip: group}  or  [space ...] entry   = space
//   with or without `when: condition`
//
// A group's parts are combined, every one with every other (grid, the last varying fastest) or the
// first with the first and so on (zip). A space has the points of its groups, in their order, with
// its plain settings; one point if it has neither groups nor entries. Then its entries in order:
// one without `when` adds its points, with the plain settings of the space below them; one with
// `when` extends every point so far that matches. Last, points that `exclude` matches are dropped.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "framework/sweep/conditions.h"
#include "framework/sweep/values.h"

namespace tarflow::sweep {

inline constexpr size_t kMaxPoints = 1'000'000;  // of a sweep

struct Space;

// What a group combines, or the group itself.
struct Factor {
  enum class Kind { kAxis, kGrid, kZip, kSpace };
  Kind kind = Kind::kAxis;
  Mark mark;                      // of its key
  Mark value_mark;                // of what stands there
  size_t field = 0;               // kAxis
  std::vector<Cell> cells;        // kAxis
  std::vector<Factor> parts;      // kGrid, kZip
  std::shared_ptr<Space> space;   // kSpace
  std::map<size_t, Mark> fields;  // that it sets, and where
};

struct Include {
  Mark mark;
  std::optional<Condition> when;
  std::shared_ptr<Space> space;
};

struct Space {
  std::map<size_t, std::pair<Cell, Mark>> plain;
  std::vector<Factor> factors;  // `grid` and `zip`, in the order of the file
  std::vector<Include> includes;
  std::vector<Condition> excludes;
  bool own_points = true;  // false: only entries of `include` make points
};

// Reads the settings of an experiment; everything wrong is reported. Fields in `overridden` are
// left out. `extra`: further keys that the map may have.
Space read_space(const Node& map, const std::string& owner, const std::vector<std::string>& extra,
                 Values& values, const std::set<size_t>& overridden);

// Drops values that an axis of a grid lists twice, with a warning each. To be called when all
// models are among the values, since strategies depend on them.
void drop_repeated(Space& space, Values& values);

// The points of the space. `context` has the cells of all fields that it does not set. Reports when
// they are more than `limit`, or when a zip does not fit.
Rows points_of(Space& space, const Cell* context, Values& values, size_t limit);

// The conditions of `exclude`, here and in the spaces below, that have matched points.
std::vector<Mark> conditions_at_work(const Space& space);

// Warns of conditions that have matched no point.
void warn_of_idle_conditions(const Space& space, Report& report);

}  // namespace tarflow::sweep
