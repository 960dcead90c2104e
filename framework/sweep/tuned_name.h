// The strategy that is left to measurements, by name: auto, auto-0.02 (docs/tuning.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "framework/core/strategy.h"
#include "framework/sweep/strategy_name.h"

namespace tarflow::sweep {

// Whether `text` has the form of such a name, valid or not: only a number follows `auto-`.
bool looks_tuned(std::string_view text);

// What a name in upper or lower case leaves open; nothing for a text that does not begin as one.
// Throws Error without a place where the deviation is none.
std::optional<Tuned> parse_tuned_name(std::string_view text);
std::string tuned_name(const Tuned& tuned);  // "auto", "auto-0.02"

// All blocks of a model.
Strategy tuned_strategy(const Tuned& tuned, const FlowSize& flow);

}  // namespace tarflow::sweep
