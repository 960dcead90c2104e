// How a sweep file states a strategy: a published name, the published three lists, or a map of
// blocks.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "framework/core/strategy.h"
#include "framework/sweep/report.h"
#include "framework/sweep/strategy_name.h"

namespace tarflow::sweep {

// Of `strategies:`, by name.
using NamedStrategies = std::map<std::string, Entry>;

// Reads, with everything wrong reported at its place and nothing returned then:
//   For, "[7-8-32-10]", [7-8-32-10]          a published name in any spelling
//   Jacobi-16                                that many Jacobi iterations in every block
//   SeJD, STARFlow-16, Window-64-0.05        the name of a rival or of windows
//   auto, auto-0.01                          left to measurements, with the deviation allowed
//   {window: 64, tolerance: 0.03, ...}       windows; `window` and `tolerance` one for all or a
//   list {name: ..., guess_list: [...]}           with initial guesses, or `guess: z | zero` for
//   all blocks {num_GS_list: [...], max_jacobi_list: [...], guess_list: [...]} {blocks: {7: {...},
//   0/6:
//   {...}, else: sequential}}
// and `label` in any of the maps, which becomes the name. Lists are in sampling order (index 0 is
// block K-1), block numbers are those of the checkpoint. Names and lists mean the published clamp
// and stop; a map of blocks has neither unless it states them. Guesses: 0 or z, 1 or zero, auto;
// `guess_list: auto` is `guess: auto`. Without a label, lists are called by the published name that
// means the same if there is one, and other strategies by core's describe(). Without `flow` only
// what does not depend on the model is checked, and nothing is returned.
//
// A name of `names` stands for its strategy, which is called by that name unless it has a label.
std::optional<Strategy> read_strategy(const Node& node, const std::optional<FlowSize>& flow,
                                      Report& report, const NamedStrategies* names = nullptr);

// What a strategy is called as far as that can be told without a model; "" when it cannot.
std::string stated_name(const Node& node, const NamedStrategies& names);

// The `strategies:` of a sweep, each checked as far as that is possible without a model; `map` may
// be nullptr.
NamedStrategies read_named_strategies(const Node* map, Report& report);

}  // namespace tarflow::sweep
