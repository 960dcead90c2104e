#include <algorithm>
#include <map>

#include "framework/core/strategy.h"

namespace tarflow {
namespace {

// The value that all blocks give; nothing where one differs or gives none.
template <typename Value, typename Of>
std::optional<Value> shared(const std::vector<const BlockPlan*>& blocks, const Of& of) {
  std::optional<Value> common;
  for (const BlockPlan* block : blocks) {
    const std::optional<Value> own = of(*block);
    if (!own || (common && *common != *own)) return std::nullopt;
    common = own;
  }
  return common;
}

std::optional<int64_t> segments_of_block(const BlockPlan& block) {
  if (std::holds_alternative<Jacobi>(block.method)) return 1;
  const auto* plan = std::get_if<Segments>(&block.method);
  const auto* count = plan ? std::get_if<SegmentCount>(&plan->size) : nullptr;
  return count ? std::optional<int64_t>(count->value) : std::nullopt;
}

std::optional<int64_t> iterations_of(const BlockPlan& block) {
  if (const auto* plan = std::get_if<Jacobi>(&block.method)) return plan->max_iterations;
  if (const auto* plan = std::get_if<Segments>(&block.method)) return plan->max_iterations;
  return std::nullopt;
}

// The number of iterations that most Jacobi blocks have, as a published name's Else; nothing
// without such blocks or where two numbers are as frequent.
std::optional<int64_t> usual_iterations(const Strategy& strategy) {
  std::map<int64_t, int> counts;
  for (const BlockPlan& block : strategy.blocks) {
    if (std::holds_alternative<Jacobi>(block.method)) ++counts[*iterations_of(block)];
  }
  std::optional<int64_t> usual;
  int most = 0;
  for (const auto& [iterations, count] : counts) {
    if (count == most) usual.reset();
    if (count <= most) continue;
    most = count;
    usual = iterations;
  }
  return usual;
}

}  // namespace

StrategyNumbers numbers_of(const Strategy& strategy) {
  StrategyNumbers numbers;
  std::vector<const BlockPlan*> all, tough;
  for (const BlockPlan& block : strategy.blocks) all.push_back(&block);
  numbers.window = shared<int64_t>(all, [](const BlockPlan& block) {
    const auto* window = std::get_if<Window>(&block.method);
    return window ? std::optional<int64_t>(window->width) : std::nullopt;
  });
  numbers.tolerance = shared<double>(all, [](const BlockPlan& block) {
    const auto* window = std::get_if<Window>(&block.method);
    return window ? std::optional<double>(window->tolerance) : std::nullopt;
  });
  numbers.others = usual_iterations(strategy);
  if (!numbers.others) return numbers;
  for (int index = 0; index < static_cast<int>(strategy.blocks.size()); ++index) {
    const BlockPlan& block = strategy.block(index);
    if (segments_of_block(block) == 1 && iterations_of(block) == numbers.others) continue;
    if (!segments_of_block(block)) return {};  // a map of blocks that no such numbers state
    tough.push_back(&block);
    numbers.stack += (numbers.stack.empty() ? "" : "/") + std::to_string(index);
  }
  numbers.segments = shared<int64_t>(tough, segments_of_block);
  numbers.iterations = shared<int64_t>(tough, iterations_of);
  return numbers;
}

}  // namespace tarflow
