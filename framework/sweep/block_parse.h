// How a sweep file states one block of a strategy.
#pragma once

#include <optional>
#include <string>

#include "framework/core/strategy.h"
#include "framework/sweep/report.h"
#include "framework/sweep/strategy_name.h"
#include "framework/sweep/yaml.h"

namespace tarflow::sweep {

// Calls `make`, which throws Errors without a place, and reports them at `mark`.
template <typename Make>
auto located(Mark mark, Report& report, Make make) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const Error& failure) {
    for (const Problem& problem : failure.problems())
      report.error(mark, problem.what, problem.repair);
    return std::nullopt;
  }
}

bool is_word(const Node& node, const char* word);

// 0 or z, 1 or zero, auto; `name` is what the message calls it.
std::optional<Guess> read_guess(const Node& node, const std::string& name, Report& report);

// What the windows of a map share: `guess`, `sweeps` and `pattern`; width and tolerance are those
// of default_window(). What is wrong is reported at its place, here and below.
Window read_window_settings(const Node& map, Report& report);
std::optional<int> read_window_width(const Node& node, Report& report);
std::optional<double> read_window_tolerance(const Node& node, Report& report);
// The `tolerance` that a map with `window` must have.
const Entry* require_tolerance(const Node& map, Report& report);

// `sequential`, or a map with `segments` or `segment_length` and what its iterations take, or with
// `window`; what is wrong is reported at its place, and nothing is returned then. Without `flow`
// any number of segments and of tokens is taken.
std::optional<BlockPlan> read_block(const Node& node, const std::optional<FlowSize>& flow,
                                    Report& report);

}  // namespace tarflow::sweep
