#include "framework/sweep/strategy_axes.h"

#include <fmt/format.h>

#include <climits>
#include <memory>

#include "framework/sweep/block_parse.h"
#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace {

constexpr size_t kMostStrategies = 100'000;  // of one product
constexpr const char* kProduct = "product";

bool has_list(const Node& map) {
  for (const Entry& entry : map.entries) {
    if (entry.value->kind == NodeKind::kList) return true;
  }
  return false;
}

// The map of axes that a node states by itself; nullptr where it states none.
const Node* axes_in(const Node& node) {
  if (node.kind != NodeKind::kMap) return nullptr;
  if (const Entry* product = node.find(kProduct)) return product->value.get();
  return node.find("stack") && has_list(node) ? &node : nullptr;
}

const Node* axes_of(const Node& node, const NamedStrategies* names) {
  if (const Node* own = axes_in(node)) return own;
  if (!names || node.kind != NodeKind::kScalar) return nullptr;
  const auto named = names->find(node.text);
  if (named == names->end()) return nullptr;
  const Node& value = *named->second.value;
  if (const Node* own = axes_in(value)) return own;
  return named->first == kProduct && value.kind == NodeKind::kMap ? &value : nullptr;
}

// What the values of a key are. In a product every list is one.
std::vector<NodePtr> values_of(const Entry& axis, Report& report) {
  if (axis.value->kind != NodeKind::kList) return {axis.value};
  if (!read_list(*axis.value, axis.key, report)) return {};
  return axis.value->items;
}

// The maps with one value of each key.
std::vector<NodePtr> combinations(const Node& axes, Report& report) {
  std::vector<Node> maps(1);
  maps.front().kind = NodeKind::kMap;
  maps.front().mark = axes.mark;
  for (const Entry& axis : axes.entries) {
    const std::vector<NodePtr> values = values_of(axis, report);
    if (maps.size() * values.size() > kMostStrategies) {
      report.error(axis.mark, fmt::format("a product of more than {} strategies", kMostStrategies),
                   "split it");
      return {};
    }
    std::vector<Node> next;
    next.reserve(maps.size() * values.size());
    for (const Node& map : maps) {
      for (const NodePtr& value : values) {
        next.push_back(map);
        next.back().entries.push_back({axis.key, axis.mark, value});
      }
    }
    maps = std::move(next);
  }
  std::vector<NodePtr> nodes;
  nodes.reserve(maps.size());
  for (Node& map : maps) nodes.push_back(std::make_shared<const Node>(std::move(map)));
  return nodes;
}

// The tough blocks of `stack`: 7 or 0/6.
std::vector<int> read_stack_blocks(const Node& node, Report& report) {
  std::vector<int> blocks;
  const std::string& text = node.text;
  size_t start = 0;
  while (node.kind == NodeKind::kScalar && start <= text.size()) {
    const size_t end = std::min(text.find('/', start), text.size());
    const std::string piece = text.substr(start, end - start);
    if (piece.empty() || piece.size() > 6 ||
        piece.find_first_not_of("0123456789") != std::string::npos) {
      blocks.clear();
      break;
    }
    blocks.push_back(std::stoi(piece));
    start = end + 1;
  }
  if (blocks.empty()) {
    report.error(node.mark, fmt::format("`stack` is not a block: {}", found(node)),
                 "write a block of the checkpoint, 7, or several of them, 0/6");
  }
  return blocks;
}

}  // namespace

bool is_product(const Node& node, const NamedStrategies* names) {
  return axes_of(node, names) != nullptr;
}

std::vector<NodePtr> strategies_of(const NodePtr& node, const NamedStrategies& names,
                                   Report& report) {
  const Node* const axes = axes_of(*node, &names);
  if (!axes) return {node};
  if (node->kind == NodeKind::kMap && node->find(kProduct))
    require_keys(*node, "a product of strategies", {kProduct}, report);
  if (!read_map(*axes, kProduct, report)) return {};
  if (!axes->find("stack") && !axes->find("window")) {
    report.error(axes->mark, "this product states no strategies",
                 "give it `stack`, `segments`, `iterations` and `else`, or `window` and "
                 "`tolerance`, each with one value or a list");
    return {};
  }
  if (const Entry* label = axes->find("label")) {
    report.error(label->mark, "one `label` for all strategies of a product",
                 "remove it; each is called by what it does");
    return {};
  }
  return combinations(*axes, report);
}

std::optional<Strategy> read_stack(const Node& map, const std::optional<FlowSize>& flow,
                                   Report& report) {
  require_keys(map, "a strategy given by its numbers",
               {"stack", "segments", "iterations", "else", "guess", "label"}, report);
  const auto number = [&](const char* key, int64_t least) -> std::optional<int64_t> {
    const Entry* entry = map.find(key);
    if (entry) return read_integer(*entry->value, key, {double(least), INT_MAX}, report);
    report.error(map.mark, fmt::format("`stack` without `{}`", key),
                 "state stack, segments, iterations and else: [7-8-32-10] is {stack: 7, segments: "
                 "8, iterations: 32, else: 10}");
    return std::nullopt;
  };
  const std::vector<int> blocks = read_stack_blocks(*map.find("stack")->value, report);
  const auto segments = number("segments", 1), iterations = number("iterations", 1),
             others = number("else", 1);
  if (!flow || blocks.empty() || !segments || !iterations || !others) return std::nullopt;
  PublishedName name;
  for (const int block : blocks) {
    name.groups.push_back({block, static_cast<int>(*segments), static_cast<int>(*iterations)});
  }
  name.others = static_cast<int>(*others);
  // By way of the text, which sorts the blocks and finds those that are stated twice.
  return located(map.mark, report,
                 [&] { return published_strategy(parse_published_name(name.str()), *flow); });
}

}  // namespace tarflow::sweep
