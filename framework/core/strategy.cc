#include "framework/core/strategy.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"

namespace tarflow {
namespace {

std::string describe_block(const BlockStrategy& block) {
  if (block.sequential()) return "sequential";
  std::string text = block.segments == 1
                         ? fmt::format("jacobi {}", block.max_iterations)
                         : fmt::format("gs {} x {}", block.segments, block.max_iterations);
  text += block.guess == Guess::kZero ? " guess 0" : " guess " + to_string(block.guess);
  if (block.clamp > 0) text += fmt::format(" clamp {}", block.clamp);
  if (block.stop == StopRule::kPublished) text += fmt::format(" stop {}", block.stop_threshold);
  return text;
}

const std::vector<std::string> kGuessNames = {"z", "zero", "auto"};  // in the order of Guess

}  // namespace

std::string to_string(Guess guess) { return kGuessNames[static_cast<size_t>(guess)]; }

Guess guess_from_string(const std::string& text) {
  for (size_t i = 0; i < kGuessNames.size(); ++i) {
    if (kGuessNames[i] == text) return static_cast<Guess>(i);
  }
  throw Error(fmt::format("`{}` is not an initial guess", text), did_you_mean(text, kGuessNames));
}

bool Strategy::has_open_guess() const {
  return std::any_of(blocks.begin(), blocks.end(), [](const BlockStrategy& b) {
    return !b.sequential() && b.guess == Guess::kAuto;
  });
}

bool Strategy::sequential() const {
  return std::all_of(blocks.begin(), blocks.end(),
                     [](const BlockStrategy& b) { return b.sequential(); });
}

const BlockStrategy& Strategy::block(int index) const {
  return blocks.at(blocks.size() - 1 - static_cast<size_t>(index));
}

Json to_json(const Strategy& strategy) {
  Json list = Json::array();
  for (const BlockStrategy& block : strategy.blocks) {
    // What a sequential block does not use is left out, so that equal plans have equal identities.
    Json entry = {{"segments", block.segments}};
    if (!block.sequential()) {
      entry["max_iterations"] = block.max_iterations;
      entry["guess"] = to_string(block.guess);
      if (block.clamp > 0) entry["clamp"] = block.clamp;
      if (block.stop == StopRule::kPublished) entry["stop"] = {{"published", block.stop_threshold}};
    }
    list.push_back(std::move(entry));
  }
  return {{"name", strategy.name}, {"blocks", std::move(list)}};
}

Strategy strategy_from_json(const Json& json) {
  try {
    Strategy strategy;
    strategy.name = json.at("name").get<std::string>();
    for (const Json& entry : json.at("blocks")) {
      BlockStrategy block;
      block.segments = entry.at("segments").get<int>();
      if (!block.sequential()) {
        block.max_iterations = entry.at("max_iterations").get<int>();
        block.guess = guess_from_string(entry.at("guess").get<std::string>());
        block.clamp = entry.value("clamp", 0.0);
        if (entry.contains("stop")) {
          block.stop = StopRule::kPublished;
          block.stop_threshold = entry.at("stop").at("published").get<double>();
        }
      }
      strategy.blocks.push_back(block);
    }
    return strategy;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a strategy: {}", failure.what()));
  }
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
    text += describe_block(strategy.block(first));
    first = last - 1;
  }
  return text;
}

}  // namespace tarflow
