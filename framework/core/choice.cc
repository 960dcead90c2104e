#include "framework/core/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "framework/core/error.h"

namespace tarflow {
namespace {

// The blocks so far by one option each.
struct Sum {
  Option total;
  size_t before = 0;  // index of the sum without the last block
  size_t option = 0;  // of the last block
};

bool faster(const Option& a, const Option& b) {
  return a.seconds != b.seconds ? a.seconds < b.seconds : a.error < b.error;
}

// Sums that no other beats in both seconds and error, the fastest first.
void keep_unbeaten(std::vector<Sum>& sums) {
  std::stable_sort(sums.begin(), sums.end(),
                   [](const Sum& a, const Sum& b) { return faster(a.total, b.total); });
  size_t kept = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (kept == 0 || sums[i].total.error < sums[kept - 1].total.error) sums[kept++] = sums[i];
  }
  sums.resize(kept);
}

void require_usable(const std::vector<std::vector<Option>>& blocks, double budget) {
  const auto usable = [](double value) { return std::isfinite(value) && value >= 0; };
  if (!usable(budget)) throw Error(fmt::format("{} is no budget of error", budget));
  for (size_t block = 0; block < blocks.size(); ++block) {
    if (blocks[block].empty()) throw Error(fmt::format("block {} has no method to choose", block));
    for (const Option& option : blocks[block]) {
      if (usable(option.seconds) && usable(option.error)) continue;
      throw Error(fmt::format("a method of block {} takes {} s with error {}", block,
                              option.seconds, option.error));
    }
  }
}

// The square of what a method deviates beyond rounding.
double own_square(const BlockMethods& block, double deviation) {
  return std::max(0.0, deviation * deviation - block.rounding * block.rounding);
}

// Options of the blocks, errors squared: those above `first` sequential, `first` itself not, so
// that its options are methods 1, 2 ...
std::vector<std::vector<Option>> options_from(const std::vector<BlockMethods>& blocks,
                                              size_t first) {
  std::vector<std::vector<Option>> options(blocks.size());
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (b != first) options[b].push_back({blocks[b].methods[0].seconds, 0});
    for (size_t m = 1; b <= first && m < blocks[b].methods.size(); ++m) {
      const Option& method = blocks[b].methods[m];
      options[b].push_back({method.seconds, own_square(blocks[b], method.error)});
    }
  }
  return options;
}

// The fastest methods of all blocks where `first` is the first that is not sequential; nothing
// where its methods all deviate too much.
std::optional<std::vector<size_t>> fastest_from(const std::vector<BlockMethods>& blocks,
                                                size_t first, double deviation) {
  const double rounding = blocks[first].rounding;
  const double budget = deviation * deviation - rounding * rounding;
  const auto options = options_from(blocks, first);
  const bool any = std::any_of(options[first].begin(), options[first].end(),
                               [&](const Option& option) { return option.error <= budget; });
  if (rounding > deviation || !any) return std::nullopt;
  std::vector<size_t> methods = fastest_within(options, budget);
  ++methods[first];
  return methods;
}

double seconds_of(const std::vector<BlockMethods>& blocks, const std::vector<size_t>& methods) {
  double seconds = 0;
  for (size_t b = 0; b < blocks.size(); ++b) seconds += blocks[b].methods[methods[b]].seconds;
  return seconds;
}

}  // namespace

double predicted_deviation(const std::vector<BlockMethods>& blocks,
                           const std::vector<size_t>& methods) {
  double squares = 0, rounding = 0;
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (methods.at(b) == 0) continue;
    squares += own_square(blocks[b], blocks[b].methods.at(methods[b]).error);
    rounding = blocks[b].rounding;  // of the last such block, which is sampled first
  }
  return std::sqrt(squares + rounding * rounding);
}

MethodChoice fastest_of_deviation(const std::vector<BlockMethods>& blocks, double deviation) {
  std::vector<std::vector<Option>> all;
  for (const BlockMethods& block : blocks) {
    all.push_back(block.methods);
    if (!(std::isfinite(block.rounding) && block.rounding >= 0))
      throw Error(fmt::format("a block rounds by {}", block.rounding));
  }
  require_usable(all, deviation);
  MethodChoice best{std::vector<size_t>(blocks.size(), 0), 0};  // sequential
  double best_seconds = seconds_of(blocks, best.methods);
  for (size_t first = 0; first < blocks.size(); ++first) {
    const auto methods = fastest_from(blocks, first, deviation);
    if (!methods) continue;
    const MethodChoice choice{*methods, predicted_deviation(blocks, *methods)};
    const double seconds = seconds_of(blocks, choice.methods);
    if (std::pair(seconds, choice.deviation) >= std::pair(best_seconds, best.deviation)) continue;
    best = choice;
    best_seconds = seconds;
  }
  return best;
}

std::vector<size_t> fastest_within(const std::vector<std::vector<Option>>& blocks, double budget) {
  require_usable(blocks, budget);
  std::vector<std::vector<Sum>> layers = {{Sum{}}};
  for (const std::vector<Option>& options : blocks) {
    std::vector<Sum> next;
    const std::vector<Sum>& sums = layers.back();
    for (size_t before = 0; before < sums.size(); ++before) {
      for (size_t option = 0; option < options.size(); ++option) {
        const Option total{sums[before].total.seconds + options[option].seconds,
                           sums[before].total.error + options[option].error};
        if (total.error <= budget) next.push_back({total, before, option});
      }
    }
    keep_unbeaten(next);
    if (next.empty()) {
      throw Error(fmt::format("no choice of methods has an error of at most {}", budget),
                  "give each block an exact method");
    }
    layers.push_back(std::move(next));
  }
  std::vector<size_t> chosen(blocks.size());
  size_t at = 0;  // the fastest of the last layer
  for (size_t block = blocks.size(); block-- > 0;) {
    const Sum& sum = layers[block + 1][at];
    chosen[block] = sum.option;
    at = sum.before;
  }
  return chosen;
}

std::vector<size_t> unbeaten(const std::vector<Option>& options) {
  std::vector<size_t> order(options.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return faster(options[a], options[b]); });
  std::vector<size_t> kept;
  for (const size_t index : order) {
    if (kept.empty() || options[index].error < options[kept.back()].error) kept.push_back(index);
  }
  return kept;
}

}  // namespace tarflow
