#include "framework/sweep/block_parse.h"

#include <fmt/format.h>

#include <climits>

#include "framework/sweep/scalars.h"

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

}  // namespace

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
               {"segments", "segment_length", "max_iterations", "guess", "clamp", "stop"}, report);
  const Entry* const count = node.find("segments");
  const Entry* const length = node.find("segment_length");
  if (count && length) {
    report.error(length->mark, "`segment_length` beside `segments`", "state one of them");
    return std::nullopt;
  }
  if (!count && !length) {
    report.error(node.mark, "a block needs `segments`",
                 "0: sequential, 1: Jacobi over all tokens, more: GS-Jacobi; or `segment_length`");
    return std::nullopt;
  }
  const FlowSize size = flow.value_or(FlowSize{0, INT_MAX});
  const std::optional<BlockPlan> plan = count ? read_segments(node, *count, size, report)
                                              : read_segment_length(node, *length, size, report);
  return report.errors.size() == errors_before ? plan : std::nullopt;
}

}  // namespace tarflow::sweep
