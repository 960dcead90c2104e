#include "framework/sweep/tuned_name.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "framework/core/error.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kAuto = "auto";

// What follows `auto-`, "" for `auto`; nothing for other texts.
std::optional<std::string> number_of(std::string_view text) {
  const std::string name = plain_name(text), start = std::string(kAuto) + "-";
  if (name == kAuto) return "";
  if (!name.starts_with(start)) return std::nullopt;
  return name.substr(start.size());
}

}  // namespace

bool looks_tuned(std::string_view text) {
  const std::optional<std::string> number = number_of(text);
  return number && number->find_first_not_of("0123456789.e+-") == std::string::npos;
}

std::optional<Tuned> parse_tuned_name(std::string_view text) {
  const std::optional<std::string> number = number_of(text);
  if (!number) return std::nullopt;
  if (plain_name(text) == kAuto) return Tuned{};
  double value = 0;
  const char* const last = number->data() + number->size();
  const auto [end, failure] = std::from_chars(number->data(), last, value);
  if (failure != std::errc() || end != last || !std::isfinite(value) || !(value > 0)) {
    throw Error(fmt::format("`{}` is not a strategy: `{}` is no deviation, a number above 0",
                            text.substr(0, 60), *number),
                "write auto for a deviation of 0.03 from sequential sampling, or auto-0.01; For is "
                "exact");
  }
  return Tuned{value};
}

std::string tuned_name(const Tuned& tuned) {
  return tuned == Tuned{} ? kAuto : fmt::format("{}-{}", kAuto, tuned.deviation);
}

Strategy tuned_strategy(const Tuned& tuned, const FlowSize& flow) {
  return {tuned_name(tuned), {static_cast<size_t>(flow.blocks), BlockPlan{tuned}}};
}

}  // namespace tarflow::sweep
