#include "framework/sweep/block_parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>
#include <string_view>

#include "framework/sweep/scalars.h"
#include "framework/sweep/window_name.h"

namespace tarflow::sweep {
namespace {

constexpr int64_t kMaxInt = INT_MAX;

// `stop: none`, or a map of one norm and its threshold and perhaps the `scope`, as
// `stop: {max_abs: 0.5, scope: image}`. Nothing is returned for `none` and for what is wrong.
std::optional<Stop> read_stop(const Node& node, Report& report) {
  if (is_word(node, "none")) return std::nullopt;
  if (!read_map(node, "stop", report)) return std::nullopt;
  std::vector<std::string> keys = norm_names();
  keys.emplace_back("scope");
  const size_t errors_before = report.errors.size();
  require_keys(node, "`stop`", keys, report);
  std::optional<Stop> stop;
  for (const Entry& entry : node.entries) {
    const auto norm = norm_from_string(entry.key);
    if (!norm) continue;
    if (stop) {
      report.error(entry.mark, "`stop` has two norms", "keep one of them");
      return std::nullopt;
    }
    const auto threshold = read_number(*entry.value, entry.key, {0.0, {}}, report);
    stop = Stop{*norm, threshold.value_or(0)};
  }
  if (!stop) {
    if (report.errors.size() > errors_before) return std::nullopt;  // a key that was misspelt
    report.error(node.mark, "`stop` has no norm", "write {published: 1.0e-6}, or stop: none");
    return std::nullopt;
  }
  if (const Entry* entry = node.find("scope")) {
    const auto scope = scope_from_string(entry->value->text);
    if (entry->value->kind != NodeKind::kScalar || !scope) {
      report.error(entry->value->mark,
                   fmt::format("`scope`: expected chunk or image, found {}", found(*entry->value)),
                   "chunk: all images of a chunk stop together; image: each for itself");
    } else {
      stop->scope = *scope;
    }
  }
  return stop;
}

// The settings that Jacobi and segments share.
Iterations read_iterations(const Node& node, Report& report) {
  Iterations plan;
  if (const Entry* entry = node.find("max_iterations")) {
    plan.max_iterations = static_cast<int>(
        read_integer(*entry->value, "max_iterations", {1, kMaxInt}, report).value_or(0));
  } else {
    report.error(node.mark, "a block that is not sequential needs `max_iterations`",
                 "state at least 1");
  }
  if (const Entry* entry = node.find("guess"))
    plan.guess = read_guess(*entry->value, "guess", report).value_or(Guess::kZ);
  if (const Entry* entry = node.find("clamp"); entry && !is_word(*entry->value, "none"))
    plan.clamp = read_number(*entry->value, "clamp", {0.0, {}}, report).value_or(0);
  if (const Entry* entry = node.find("stop")) plan.stop = read_stop(*entry->value, report);
  return plan;
}

// `segments: sequential`, or a number: 0 and T are sequential, 1 is Jacobi.
std::optional<BlockPlan> read_segments(const Node& node, const Entry& entry, const FlowSize& flow,
                                       Report& report) {
  int count = 0;
  if (!is_word(*entry.value, "sequential")) {
    const auto written = read_integer(*entry.value, "segments", {0, kMaxInt}, report);
    if (!written) return std::nullopt;
    const auto segments =
        located(entry.value->mark, report, [&] { return checked_segments(*written, flow); });
    if (!segments) return std::nullopt;
    count = *segments;
  }
  if (count > 1) return BlockPlan{Segments{read_iterations(node, report), SegmentCount{count}}};
  if (count == 1) return BlockPlan{Jacobi{read_iterations(node, report)}};
  for (const Entry& other : node.entries) {
    if (&other == &entry) continue;
    report.error(other.mark, fmt::format("a sequential block has no use for `{}`", other.key),
                 "remove it");
  }
  return BlockPlan{Sequential{}};
}

std::optional<BlockPlan> read_segment_length(const Node& node, const Entry& entry,
                                             const FlowSize& flow, Report& report) {
  const auto written = read_integer(*entry.value, "segment_length", {1, kMaxInt}, report);
  if (!written) return std::nullopt;
  const auto length =
      located(entry.value->mark, report, [&] { return checked_segment_length(*written, flow); });
  if (!length) return std::nullopt;
  return BlockPlan{Segments{read_iterations(node, report), SegmentLength{*length}}};
}

constexpr std::array<std::string_view, 3> kOfWindows = {"tolerance", "sweeps", "pattern"};
constexpr std::array<std::string_view, 3> kOfIterations = {"max_iterations", "clamp", "stop"};

template <typename Keys>
bool is_one_of(const Keys& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

// Reports the settings that another way of inverting a block has.
void require_own_settings(const Node& node, bool window, Report& report) {
  for (const Entry& entry : node.entries) {
    if (window && is_one_of(kOfIterations, entry.key)) {
      report.error(entry.mark, fmt::format("a window has no use for `{}`", entry.key),
                   "remove it: a window ends by its `tolerance`");
    } else if (!window && is_one_of(kOfWindows, entry.key)) {
      report.error(entry.mark,
                   fmt::format("`{}` belongs to a `window`, and this block has none", entry.key),
                   "remove it, or state `window` in the place of segments");
    }
  }
}

std::optional<WindowGuess> read_window_guess(const Node& node, Report& report) {
  if (node.kind == NodeKind::kScalar) {
    for (const WindowGuess guess : {WindowGuess::kZ, WindowGuess::kUp, WindowGuess::kLinear}) {
      if (node.text == to_string(guess)) return guess;
    }
  }
  report.error(node.mark,
               fmt::format("`guess`: expected the guess of a window, found {}", found(node)),
               "z: the block's input itself; up: what the token above has; linear: by a linear "
               "model of the block; zero and auto are for Jacobi iterations");
  return std::nullopt;
}

std::optional<BlockPlan> read_window(const Node& node, const Entry& entry, const FlowSize& flow,
                                     Report& report) {
  Window window = read_window_settings(node, report);
  const auto width = read_window_width(*entry.value, report);
  const Entry* const stated = require_tolerance(node, report);
  const auto tolerance = stated ? read_window_tolerance(*stated->value, report) : std::nullopt;
  if (!width || !tolerance) return std::nullopt;
  window.width = *width;
  window.tolerance = *tolerance;
  return BlockPlan{fitted(window, flow)};
}

}  // namespace

Window read_window_settings(const Node& node, Report& report) {
  Window window = default_window();
  if (const Entry* entry = node.find("guess"))
    window.guess = read_window_guess(*entry->value, report).value_or(window.guess);
  if (const Entry* entry = node.find("sweeps")) {
    window.sweeps = static_cast<int>(
        read_integer(*entry->value, "sweeps", {1, kMaxInt}, report).value_or(window.sweeps));
    if (window.guess != WindowGuess::kLinear) {
      report.error(entry->mark, fmt::format("`sweeps` beside `guess: {}`", to_string(window.guess)),
                   "only `guess: linear` solves a system in sweeps: remove `sweeps`");
      window.sweeps = default_window().sweeps;
    }
  }
  if (const Entry* entry = node.find("pattern")) {
    window.pattern =
        read_text(*entry->value, "pattern", report).value_or(std::string(kWindowPattern));
    if (const std::string fault = pattern_fault(window.pattern); !fault.empty()) {
      report.error(entry->value->mark, fmt::format("`pattern: {}` {}", window.pattern, fault),
                   "write F, HF, FH or HHF, say; it is repeated");
    }
  }
  return window;
}

std::optional<int> read_window_width(const Node& node, Report& report) {
  const auto width = read_integer(node, "window", {1, kMaxInt}, report);
  return width ? std::optional(static_cast<int>(*width)) : std::nullopt;
}

std::optional<double> read_window_tolerance(const Node& node, Report& report) {
  const auto tolerance = read_number(node, "tolerance", {0.0, {}}, report);
  return tolerance ? std::optional(*tolerance + 0.0) : std::nullopt;  // no negative zero
}

const Entry* require_tolerance(const Node& node, Report& report) {
  const Entry* const entry = node.find("tolerance");
  if (!entry) {
    report.error(node.mark, "a `window` needs `tolerance`",
                 "state the largest rms change of a token that counts as settled, as 0.03");
  }
  return entry;
}

bool is_word(const Node& node, const char* word) {
  return node.kind == NodeKind::kScalar && node.text == word;
}

std::optional<Guess> read_guess(const Node& node, const std::string& name, Report& report) {
  if (node.kind == NodeKind::kScalar) {
    if (node.text == "0" || node.text == "z") return Guess::kZ;
    if (node.text == "1" || node.text == "zero") return Guess::kZero;
    if (node.text == "auto") return Guess::kAuto;
  }
  report.error(node.mark,
               fmt::format("`{}`: expected an initial guess, found {}", name, found(node)),
               "0 or z: the block's input z itself; 1 or zero: token 0 of z, zeros elsewhere; "
               "auto: the better of the two on real images");
  return std::nullopt;
}

std::optional<BlockPlan> read_block(const Node& node, const std::optional<FlowSize>& flow,
                                    Report& report) {
  if (is_word(node, "sequential")) return BlockPlan{Sequential{}};
  if (!read_map(node, "a block", report)) return std::nullopt;
  const size_t errors_before = report.errors.size();
  require_keys(node, "a block",
               {"segments", "segment_length", "window", "max_iterations", "guess", "clamp", "stop",
                "tolerance", "sweeps", "pattern"},
               report);
  const Entry* stated = nullptr;
  for (const Entry& entry : node.entries) {
    if (entry.key != "segments" && entry.key != "segment_length" && entry.key != "window") continue;
    if (stated) {
      report.error(entry.mark, fmt::format("`{}` beside `{}`", entry.key, stated->key),
                   "state one of them");
      return std::nullopt;
    }
    stated = &entry;
  }
  if (!stated) {
    report.error(node.mark, "a block needs `segments`",
                 "0: sequential, 1: Jacobi over all tokens, more: GS-Jacobi; or `segment_length`, "
                 "or `window`");
    return std::nullopt;
  }
  const bool window = stated->key == "window";
  require_own_settings(node, window, report);
  const FlowSize size = flow.value_or(FlowSize{0, INT_MAX});
  const std::optional<BlockPlan> plan = window ? read_window(node, *stated, size, report)
                                        : stated->key == "segments"
                                            ? read_segments(node, *stated, size, report)
                                            : read_segment_length(node, *stated, size, report);
  return report.errors.size() == errors_before ? plan : std::nullopt;
}

}  // namespace tarflow::sweep
