#include "framework/core/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

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

}  // namespace

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
