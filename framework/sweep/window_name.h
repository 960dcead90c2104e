// The adaptive window of all blocks by name: Window-64, Window-64-0.05 (method.md section 7).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sweep/strategy_name.h"

namespace tarflow::sweep {

// What a window is where a file does not state it, and always where a name states it.
inline constexpr double kWindowTolerance = 0.03;  // of a name without one
inline constexpr const char* kWindowPattern = "HF";
Window default_window();  // the guess is linear, with 3 sweeps

// Whether `text` has the form of such a name, valid or not: only numbers follow `Window-`.
bool looks_window(std::string_view text);

// The window of a name in upper or lower case; nothing for a text that does not begin as one.
// Throws Error without a place where the width or the tolerance is none.
std::optional<Window> parse_window_name(std::string_view text);
std::string window_name(const Window& window);  // "Window-64", "Window-64-0.05"

// The window for a model of T tokens: a width above T - 1 is T - 1, for T - 1 inputs determine all
// tokens.
Window fitted(Window window, const FlowSize& flow);
// Named by the fitted width, so that one strategy has one name however it is written.
Strategy window_strategy(const Window& window, const FlowSize& flow);

// The name that window_strategy turns into `blocks`, if there is one.
std::optional<std::string> window_name_of(const std::vector<BlockPlan>& blocks);

}  // namespace tarflow::sweep
