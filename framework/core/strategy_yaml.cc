#include "framework/core/strategy_yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

namespace tarflow {
namespace {

// A block as JSON, in YAML's flow style: words need no quotes, as the sweep's reader takes them.
std::string flow_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return value.dump();
  std::vector<std::string> entries;
  for (const auto& [key, item] : value.items())
    entries.push_back(fmt::format("{}: {}", key, flow_of(item)));
  return fmt::format("{{{}}}", fmt::join(entries, ", "));
}

// "7", "0/6" and the block's map, the block that is sampled first at the front.
std::vector<std::pair<std::string, std::string>> entries_of(const Strategy& strategy) {
  const Json blocks = to_json(strategy).at("blocks");
  std::vector<std::pair<std::string, std::string>> entries;
  std::vector<bool> done(blocks.size(), false);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (done[i]) continue;
    std::vector<size_t> numbers;
    for (size_t j = i; j < blocks.size(); ++j) {
      if (blocks[j] != blocks[i]) continue;
      done[j] = true;
      numbers.push_back(blocks.size() - 1 - j);
    }
    const bool sequential = strategy.blocks[i].sequential();
    entries.emplace_back(fmt::format("{}", fmt::join(numbers, "/")),
                         sequential ? "sequential" : flow_of(blocks[i]));
  }
  return entries;
}

std::string label_of(const Strategy& strategy) { return Json(strategy.name).dump(); }

}  // namespace

std::string to_yaml(const Strategy& strategy, int indent) {
  const std::string space(static_cast<size_t>(indent), ' ');
  std::string text = fmt::format("{0}label: {1}\n{0}blocks:\n", space, label_of(strategy));
  for (const auto& [numbers, plan] : entries_of(strategy))
    text += fmt::format("{}  {}: {}\n", space, numbers, plan);
  return text;
}

std::string to_yaml_line(const Strategy& strategy) {
  std::vector<std::string> blocks;
  for (const auto& [numbers, plan] : entries_of(strategy))
    blocks.push_back(fmt::format("{}: {}", numbers, plan));
  return fmt::format("{{label: {}, blocks: {{{}}}}}", label_of(strategy), fmt::join(blocks, ", "));
}

}  // namespace tarflow
