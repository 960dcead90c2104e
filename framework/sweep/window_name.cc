#include "framework/sweep/window_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "framework/core/error.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kWindow = "Window";

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(
      fmt::format("`{}` is not a strategy: {}", text.size() > 60 ? text.substr(0, 60) : text, why),
      "write Window-64 for windows of 64 tokens with tolerance 0.03, or Window-64-0.05");
}

// The whole of `text` as a number.
template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What follows `Window-`; nothing for other texts.
std::optional<std::string> numbers_of(std::string_view text) {
  const std::string start = plain_name(kWindow), name = plain_name(text);
  if (name == start) return "";
  if (!name.starts_with(start + "-")) return std::nullopt;
  return name.substr(start.size() + 1);
}

}  // namespace

Window default_window() {
  Window window;
  window.tolerance = kWindowTolerance;
  window.pattern = kWindowPattern;
  return window;
}

bool looks_window(std::string_view text) {
  const std::optional<std::string> numbers = numbers_of(text);
  return numbers && !numbers->empty() &&
         numbers->find_first_not_of("0123456789.e+-") == std::string::npos;
}

std::optional<Window> parse_window_name(std::string_view text) {
  const std::optional<std::string> numbers = numbers_of(text);
  if (!numbers) return std::nullopt;
  if (numbers->empty()) refuse(text, "it has no width");
  Window window = default_window();
  const size_t end = numbers->find('-', 1);  // a sign belongs to the width
  const std::string width = numbers->substr(0, end);
  const auto tokens = number_of<int>(width);
  if (!tokens || *tokens < 1) refuse(text, fmt::format("`{}` is not a number of tokens", width));
  window.width = *tokens;
  if (end == std::string::npos) return window;
  const std::string tolerance = numbers->substr(end + 1);
  const auto change = number_of<double>(tolerance);
  if (!change || !std::isfinite(*change) || *change < 0)
    refuse(text, fmt::format("`{}` is not a tolerance, a number of at least 0", tolerance));
  window.tolerance = *change + 0.0;  // no negative zero
  return window;
}

std::string window_name(const Window& window) {
  return window.tolerance == kWindowTolerance
             ? fmt::format("{}-{}", kWindow, window.width)
             : fmt::format("{}-{}-{}", kWindow, window.width, window.tolerance);
}

Window fitted(Window window, const FlowSize& flow) {
  window.width = std::min(window.width, std::max(1, flow.tokens - 1));
  return window;
}

Strategy window_strategy(const Window& window, const FlowSize& flow) {
  const Window own = fitted(window, flow);
  return {window_name(own), {static_cast<size_t>(flow.blocks), BlockPlan{own}}};
}

std::optional<std::string> window_name_of(const std::vector<BlockPlan>& blocks) {
  if (blocks.empty()) return std::nullopt;
  const Window* const first = std::get_if<Window>(&blocks.front().method);
  if (!first || std::any_of(blocks.begin(), blocks.end(),
                            [&](const BlockPlan& plan) { return plan != blocks.front(); }))
    return std::nullopt;
  Window named = default_window();
  named.width = first->width;
  named.tolerance = first->tolerance;
  if (named != *first) return std::nullopt;
  return window_name(named);
}

}  // namespace tarflow::sweep
