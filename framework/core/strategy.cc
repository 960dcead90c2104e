#include "framework/core/strategy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "framework/core/error.h"
#include "framework/core/overloaded.h"

namespace tarflow {
namespace {

const std::vector<std::string> kGuessNames = {"z", "zero", "auto"};        // in the order of Guess
const std::vector<std::string> kWindowGuessNames = {"z", "up", "linear"};  // as WindowGuess
const std::vector<std::string> kNormNames = {"published", "max_abs", "relative_mse",
                                             "token_rms"};        // in the order of Norm
const std::vector<std::string> kScopeNames = {"chunk", "image"};  // in the order of Scope

template <typename Value>
std::optional<Value> value_of(const std::vector<std::string>& names, const std::string& text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Value>(found - names.begin());
}

std::string describe(const Stop& stop) {
  // The published stop came first and has no further words.
  std::string text = stop == Stop{Norm::kPublished, stop.threshold}
                         ? fmt::format(" stop {}", stop.threshold)
                         : fmt::format(" stop {} {}", to_string(stop.norm), stop.threshold);
  if (stop.scope == Scope::kImage) text += " an image";
  return text;
}

std::string iterations_text(const Iterations& plan) {
  std::string text = plan.guess == Guess::kZero ? " guess 0" : " guess " + to_string(plan.guess);
  if (plan.clamp > 0) text += fmt::format(" clamp {}", plan.clamp);
  return plan.stop ? text + describe(*plan.stop) : text;
}

std::string describe(const Sequential&) { return "sequential"; }

std::string describe(const Jacobi& plan) {
  return fmt::format("jacobi {}", plan.max_iterations) + iterations_text(plan);
}

std::string describe(const Segments& plan) {
  const std::string size = std::visit(
      Overloaded{
          [](const SegmentCount& count) { return fmt::to_string(count.value); },
          [](const SegmentLength& length) { return fmt::format("of {} tokens", length.value); }},
      plan.size);
  return fmt::format("gs {} x {}", size, plan.max_iterations) + iterations_text(plan);
}

std::string describe(const Window& plan) {
  std::string text = fmt::format("window {} tolerance {} guess {}", plan.width, plan.tolerance,
                                 to_string(plan.guess));
  if (plan.guess == WindowGuess::kLinear) text += fmt::format(" sweeps {}", plan.sweeps);
  return plan.pattern == "F" ? text : text + " pattern " + plan.pattern;
}

std::string describe(const Tuned& plan) {
  return fmt::format("chosen by measurements for deviation {}", plan.deviation);
}

Json json_of(const Stop& stop) {
  Json json = {{to_string(stop.norm), stop.threshold}};
  if (stop.scope == Scope::kImage) json["scope"] = to_string(stop.scope);
  return json;
}

// What is not used is left out, so that equal plans have equal identities.
Json iterations_json(const Iterations& plan) {
  Json json = {{"max_iterations", plan.max_iterations}, {"guess", to_string(plan.guess)}};
  if (plan.clamp > 0) json["clamp"] = plan.clamp;
  if (plan.stop) json["stop"] = json_of(*plan.stop);
  return json;
}

Json json_of(const Sequential&) { return {{"segments", 0}}; }

Json json_of(const Jacobi& plan) {
  Json json = iterations_json(plan);
  json["segments"] = 1;
  return json;
}

Json json_of(const Segments& plan) {
  Json json = iterations_json(plan);
  std::visit(
      Overloaded{[&](const SegmentCount& count) {
                   if (count.value < 2) throw std::logic_error("segments are at least two");
                   json["segments"] = count.value;
                 },
                 [&](const SegmentLength& length) { json["segment_length"] = length.value; }},
      plan.size);
  return json;
}

Json json_of(const Window& plan) {
  Json json = {{"window", plan.width},
               {"tolerance", plan.tolerance},
               {"guess", to_string(plan.guess)},
               {"pattern", plan.pattern}};
  if (plan.guess == WindowGuess::kLinear) json["sweeps"] = plan.sweeps;
  return json;
}

Json json_of(const Tuned& plan) { return {{"deviation", plan.deviation}}; }

Tuned tuned_from_json(const Json& json) {
  const Tuned plan{json.at("deviation").get<double>()};
  if (!(plan.deviation > 0) || !std::isfinite(plan.deviation))
    throw Error(fmt::format("not a strategy: the deviation {}", plan.deviation));
  return plan;
}

Window window_from_json(const Json& json) {
  Window plan;
  plan.width = json.at("window").get<int>();
  plan.tolerance = json.at("tolerance").get<double>();
  plan.guess = window_guess_from_string(json.at("guess").get<std::string>());
  plan.pattern = json.at("pattern").get<std::string>();
  plan.sweeps = json.value("sweeps", plan.sweeps);
  const std::string fault = pattern_fault(plan.pattern);
  if (plan.width < 1 || !(plan.tolerance >= 0) || plan.sweeps < 1 || !fault.empty())
    throw Error(fmt::format("not a strategy: the window {}", json.dump()));
  return plan;
}

Stop stop_from_json(const Json& json) {
  Stop stop;
  int norms = 0;
  for (const auto& [key, value] : json.items()) {
    if (key == "scope") {
      const auto scope = scope_from_string(value.get<std::string>());
      if (!scope) throw Error(fmt::format("`{}` is not the scope of a stop", value.dump()));
      stop.scope = *scope;
      continue;
    }
    const auto norm = norm_from_string(key);
    if (!norm) throw Error(fmt::format("`{}` is not the norm of a stop", key));
    stop.norm = *norm;
    stop.threshold = value.get<double>();
    ++norms;
  }
  if (norms != 1) throw Error("not a strategy: a stop has one norm");
  return stop;
}

Iterations iterations_from_json(const Json& json) {
  Iterations plan;
  plan.max_iterations = json.at("max_iterations").get<int>();
  if (plan.max_iterations < 1)
    throw Error(fmt::format("not a strategy: {} iterations", plan.max_iterations));
  plan.guess = guess_from_string(json.at("guess").get<std::string>());
  plan.clamp = json.value("clamp", 0.0);
  if (json.contains("stop")) plan.stop = stop_from_json(json.at("stop"));
  return plan;
}

BlockPlan plan_from_json(const Json& json) {
  if (json.contains("window")) return {window_from_json(json)};
  if (json.contains("deviation")) return {tuned_from_json(json)};
  if (json.contains("segment_length")) {
    const int length = json.at("segment_length").get<int>();
    if (length < 1) throw Error(fmt::format("not a strategy: segments of {} tokens", length));
    return {Segments{iterations_from_json(json), SegmentLength{length}}};
  }
  const int segments = json.at("segments").get<int>();
  if (segments < 0) throw Error(fmt::format("not a strategy: {} segments", segments));
  if (segments == 0) return {Sequential{}};
  if (segments == 1) return {Jacobi{iterations_from_json(json)}};
  return {Segments{iterations_from_json(json), SegmentCount{segments}}};
}

int64_t longest(const Sequential&, int64_t) { return 1; }
int64_t longest(const Jacobi&, int64_t tokens) { return std::max<int64_t>(1, tokens - 1); }
int64_t longest(const Segments& plan, int64_t tokens) {
  int64_t most = 1;
  for (const Segment& range : segments_of(plan, tokens))
    most = std::max(most, range.last - range.first);
  return most;
}

int64_t longest(const Window& plan, int64_t tokens) {
  return std::clamp<int64_t>(plan.width, 1, std::max<int64_t>(1, tokens - 1));
}

int64_t longest(const Tuned&, int64_t tokens) { return std::max<int64_t>(1, tokens - 1); }

}  // namespace

std::string to_string(WindowGuess guess) { return kWindowGuessNames[static_cast<size_t>(guess)]; }

WindowGuess window_guess_from_string(const std::string& text) {
  if (const auto guess = value_of<WindowGuess>(kWindowGuessNames, text)) return *guess;
  throw Error(fmt::format("`{}` is not a guess of the adaptive window", text),
              did_you_mean(text, kWindowGuessNames));
}

std::string pattern_fault(const std::string& pattern) {
  if (pattern.empty()) return "is empty";
  if (pattern.find_first_not_of("FH") != std::string::npos)
    return "has other letters than F (full) and H (the conditional pass alone)";
  if (pattern.find('F') == std::string::npos) return "has no F, so no token would ever be final";
  return "";
}

std::string to_string(Guess guess) { return kGuessNames[static_cast<size_t>(guess)]; }
std::string to_string(Norm norm) { return kNormNames[static_cast<size_t>(norm)]; }
std::string to_string(Scope scope) { return kScopeNames[static_cast<size_t>(scope)]; }

Guess guess_from_string(const std::string& text) {
  if (const auto guess = value_of<Guess>(kGuessNames, text)) return *guess;
  throw Error(fmt::format("`{}` is not an initial guess", text), did_you_mean(text, kGuessNames));
}

std::optional<Norm> norm_from_string(const std::string& text) {
  return value_of<Norm>(kNormNames, text);
}
std::vector<std::string> norm_names() { return kNormNames; }

std::optional<Scope> scope_from_string(const std::string& text) {
  return value_of<Scope>(kScopeNames, text);
}

Guess* guess_of(BlockPlan& plan) {
  return std::visit(Overloaded{[](Sequential&) -> Guess* { return nullptr; },
                               [](Window&) -> Guess* { return nullptr; },
                               [](Tuned&) -> Guess* { return nullptr; },
                               [](Iterations& iterations) { return &iterations.guess; }},
                    plan.method);
}

const Guess* guess_of(const BlockPlan& plan) {
  return std::visit(Overloaded{[](const Sequential&) -> const Guess* { return nullptr; },
                               [](const Window&) -> const Guess* { return nullptr; },
                               [](const Tuned&) -> const Guess* { return nullptr; },
                               [](const Iterations& iterations) { return &iterations.guess; }},
                    plan.method);
}

Stop* stop_of(BlockPlan& plan) {
  return std::visit(
      Overloaded{
          [](Sequential&) -> Stop* { return nullptr; }, [](Window&) -> Stop* { return nullptr; },
          [](Tuned&) -> Stop* { return nullptr; },
          [](Iterations& iterations) { return iterations.stop ? &*iterations.stop : nullptr; }},
      plan.method);
}

bool work_depends_on_values(const BlockPlan& plan) {
  return std::visit(
      Overloaded{[](const Sequential&) { return false; },
                 [](const Window& window) { return window.advance == 0; },
                 [](const Tuned&) { return true; },
                 [](const Iterations& iterations) { return iterations.stop.has_value(); }},
      plan.method);
}

int64_t longest_evaluation(const BlockPlan& plan, int64_t tokens) {
  return std::visit([&](const auto& method) { return longest(method, tokens); }, plan.method);
}

double most_passes(const BlockPlan& plan) {
  // As measured on models of T = 64 to 1,024, 2 to 4 for windows of 16 to 128. At worst an
  // evaluation settles one token, and passes are as many as the window is wide.
  static constexpr double kWindow = 4;
  return std::visit(
      Overloaded{[](const Sequential&) { return 1.0; },
                 [](const Window& plan) { return std::min<double>(kWindow, plan.width); },
                 [](const Tuned&) { return kWindow; },
                 [](const Iterations& plan) { return static_cast<double>(plan.max_iterations); }},
      plan.method);
}

std::vector<Segment> segments_of(const Segments& plan, int64_t tokens) {
  std::vector<Segment> list;
  // The last token is never an input.
  const auto add = [&](int64_t first, int64_t last) {
    last = std::min(last, tokens - 1);
    if (first < last) list.push_back({first, last});
  };
  std::visit(Overloaded{[&](const SegmentCount& count) {
                          const int64_t all = count.value;
                          if (all > tokens) {
                            throw Error(fmt::format("{} segments for {} tokens", all, tokens),
                                        "a block has at most as many segments as tokens");
                          }
                          for (int64_t i = 0; i < all; ++i)
                            add(i * tokens / all, (i + 1) * tokens / all);
                        },
                        [&](const SegmentLength& length) {
                          if (length.value < 1) throw std::logic_error("a segment has a token");
                          for (int64_t first = 0; first < tokens; first += length.value)
                            add(first, first + length.value);
                        }},
             plan.size);
  return list;
}

BlockPlan published_plan(int num_gs, int max_jacobi, Guess guess) {
  if (num_gs == 0) return {Sequential{}};
  const Iterations iterations{max_jacobi, guess, kPublishedClamp,
                              Stop{Norm::kPublished, kPublishedStop}};
  if (num_gs == 1) return {Jacobi{iterations}};
  return {Segments{iterations, SegmentCount{num_gs}}};
}

bool Strategy::has_open_guess() const {
  return std::any_of(blocks.begin(), blocks.end(), [](const BlockPlan& plan) {
    const Guess* const guess = guess_of(plan);
    return guess && *guess == Guess::kAuto;
  });
}

bool Strategy::work_depends_on_values() const {
  return std::any_of(blocks.begin(), blocks.end(),
                     [](const BlockPlan& plan) { return tarflow::work_depends_on_values(plan); });
}

bool Strategy::needs_calibration() const {
  return std::any_of(blocks.begin(), blocks.end(), [](const BlockPlan& plan) {
    const Window* const window = std::get_if<Window>(&plan.method);
    return window && window->guess == WindowGuess::kLinear;
  });
}

std::optional<double> Strategy::open_deviation() const {
  for (const BlockPlan& plan : blocks) {
    if (const Tuned* const open = std::get_if<Tuned>(&plan.method)) return open->deviation;
  }
  return std::nullopt;
}

bool Strategy::sequential() const {
  return std::all_of(blocks.begin(), blocks.end(),
                     [](const BlockPlan& plan) { return plan.sequential(); });
}

const BlockPlan& Strategy::block(int index) const {
  return blocks.at(blocks.size() - 1 - static_cast<size_t>(index));
}

Json to_json(const Strategy& strategy) {
  Json list = Json::array();
  for (const BlockPlan& plan : strategy.blocks)
    list.push_back(std::visit([](const auto& method) { return json_of(method); }, plan.method));
  return {{"name", strategy.name}, {"blocks", std::move(list)}};
}

Strategy strategy_from_json(const Json& json) {
  try {
    Strategy strategy;
    strategy.name = json.at("name").get<std::string>();
    for (const Json& block : json.at("blocks")) strategy.blocks.push_back(plan_from_json(block));
    return strategy;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a strategy: {}", failure.what()));
  }
}

std::string describe(const BlockPlan& plan) {
  return std::visit([](const auto& method) { return describe(method); }, plan.method);
}

std::string describe(const Strategy& strategy) {
  // Sampling order is confusing to read; blocks are named by their checkpoint index.
  const int count = static_cast<int>(strategy.blocks.size());
  std::string text;
  for (int first = count - 1; first >= 0;) {
    int last = first;
    while (last > 0 && strategy.block(last - 1) == strategy.block(first)) --last;
    if (!text.empty()) text += "; ";
    text += first == last ? fmt::format("block {}: ", first)
                          : fmt::format("blocks {}-{}: ", first, last);
    text += describe(strategy.block(first));
    first = last - 1;
  }
  return text;
}

}  // namespace tarflow
