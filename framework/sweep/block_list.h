// A list with one entry per block, the last block first.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "framework/sweep/report.h"
#include "framework/sweep/scalars.h"
#include "framework/sweep/strategy_parse.h"

namespace tarflow::sweep {

// The entries, each read by `read`. Another length than the number of blocks is an error with both
// numbers.
template <typename T, typename Read>
std::optional<std::vector<T>> read_blocks(const Node& node, const std::string& name,
                                          const std::optional<FlowSize>& flow, Report& report,
                                          Read read) {
  if (!read_list(node, name, report)) return std::nullopt;
  if (flow && node.items.size() != static_cast<size_t>(flow->blocks)) {
    report.error(node.mark,
                 fmt::format("`{}` has {} entries, but the model has {} blocks", name,
                             node.items.size(), flow->blocks),
                 "one entry a block, the last block first");
    return std::nullopt;
  }
  std::vector<T> values;
  for (const NodePtr& item : node.items) {
    if (const std::optional<T> value = read(*item)) values.push_back(*value);
  }
  if (values.size() != node.items.size()) return std::nullopt;
  return values;
}

}  // namespace tarflow::sweep
