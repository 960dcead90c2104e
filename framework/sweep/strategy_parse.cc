#include "framework/sweep/strategy_parse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <variant>

#include "framework/core/overloaded.h"
#include "framework/sweep/block_list.h"
#include "framework/sweep/block_parse.h"
#include "framework/sweep/rival_name.h"
#include "framework/sweep/scalars.h"
#include "framework/sweep/strategy_axes.h"
#include "framework/sweep/tuned_name.h"
#include "framework/sweep/window_name.h"

namespace tarflow::sweep {
namespace {

constexpr size_t kMaxLabel = 80;
constexpr int64_t kMaxInt = INT_MAX;

// `guess` (one for all) or `guess_list` of a map, put into the blocks; sequential blocks have none.
// False when something is wrong.
bool apply_guesses(const Node& map, const std::optional<FlowSize>& flow,
                   std::optional<Strategy>& strategy, Report& report) {
  const Entry* single = map.find("guess");
  const Entry* list = map.find("guess_list");
  if (!single && !list) return true;
  const Entry& stated = single ? *single : *list;
  if (single && list) {
    report.error(list->mark, "`guess_list` beside `guess`", "state one of them");
    return false;
  }
  const auto windows = [](const BlockPlan& plan) {
    return std::holds_alternative<Window>(plan.method);
  };
  if (strategy && std::any_of(strategy->blocks.begin(), strategy->blocks.end(), windows)) {
    report.error(stated.mark,
                 fmt::format("the name {} says what its windows guess, so `{}` does nothing",
                             strategy->name, stated.key),
                 "write {window: 64, tolerance: 0.03, guess: up} in the place of the name");
    return false;
  }
  if (strategy && strategy->open_deviation()) {
    report.error(stated.mark,
                 fmt::format("{} chooses the guesses of its blocks, so `{}` does nothing",
                             strategy->name, stated.key),
                 "remove it");
    return false;
  }
  if (strategy && !map.find("num_GS_list") && strategy->sequential()) {
    report.error(
        stated.mark,
        fmt::format("sequential sampling has no initial guess, so `{}` does nothing", stated.key),
        "remove it");
    return false;
  }
  std::vector<Guess> guesses;
  if (single || is_word(*list->value, "auto")) {
    const auto guess = read_guess(*stated.value, stated.key, report);
    if (!guess) return false;
    guesses.assign(flow ? static_cast<size_t>(flow->blocks) : 0, *guess);
  } else {
    auto read = [&](const Node& item) { return read_guess(item, "guess_list", report); };
    auto values = read_blocks<Guess>(*list->value, "guess_list", flow, report, read);
    if (!values) return false;
    guesses = std::move(*values);
  }
  if (!strategy) return true;
  for (size_t i = 0; i < strategy->blocks.size(); ++i) {
    if (Guess* const guess = guess_of(strategy->blocks[i])) *guess = guesses[i];
  }
  return true;
}

// The text of a name, which unquoted brackets make a list of one text.
const Node* read_name(const Node& node, Report& report) {
  const Node* text = &node;
  if (node.kind == NodeKind::kList) {
    if (node.items.size() != 1 || node.items[0]->kind != NodeKind::kScalar) {
      report.error(node.mark,
                   fmt::format("expected one strategy, found a list of {}", node.items.size()),
                   "to run several strategies, list them under `grid:`");
      return nullptr;
    }
    text = node.items[0].get();
  }
  if (text->kind != NodeKind::kScalar) {
    report.error(node.mark, fmt::format("expected a strategy, found {}", found(*text)),
                 "write [Stack-GS-J-Else], as [7-8-32-10], or Jacobi-16, or For");
    return nullptr;
  }
  return text;
}

// A published name, that of a rival, that of windows, or auto.
using Name = std::variant<PublishedName, Rival, Window, Tuned>;

// Whether `text` has the form of such a name, valid or not.
bool looks_named(const std::string& text) {
  try {
    return looks_published(text) || looks_window(text) || looks_tuned(text) ||
           parse_rival_name(text).has_value();
  } catch (const Error&) {
    return true;
  }
}

Name parse_name(const std::string& text) {
  if (const std::optional<Rival> rival = parse_rival_name(text)) return *rival;
  if (const std::optional<Window> window = parse_window_name(text)) return *window;
  if (const std::optional<Tuned> tuned = parse_tuned_name(text)) return *tuned;
  return parse_published_name(text);
}

std::optional<Strategy> from_name(const Node& node, const std::optional<FlowSize>& flow,
                                  Report& report) {
  const Node* const text = read_name(node, report);
  if (!text) return std::nullopt;
  const auto name = located(node.mark, report, [&] { return parse_name(text->text); });
  if (!name || !flow) return std::nullopt;
  return located(node.mark, report, [&] {
    return std::visit(
        Overloaded{[&](const PublishedName& own) { return published_strategy(own, *flow); },
                   [&](const Rival& rival) { return rival_strategy(rival, *flow); },
                   [&](const Window& window) { return window_strategy(window, *flow); },
                   [&](const Tuned& tuned) { return tuned_strategy(tuned, *flow); }},
        *name);
  });
}

std::optional<Strategy> from_named_map(const Node& map, const std::optional<FlowSize>& flow,
                                       Report& report) {
  require_keys(map, "a strategy given by its name", {"name", "guess", "guess_list", "label"},
               report);
  std::optional<Strategy> strategy = from_name(*map.find("name")->value, flow, report);
  if (!apply_guesses(map, flow, strategy, report)) return std::nullopt;
  return strategy;
}

std::optional<Strategy> from_lists(const Node& map, const std::optional<FlowSize>& flow,
                                   Report& report) {
  require_keys(map, "a strategy given by lists",
               {"num_GS_list", "max_jacobi_list", "guess_list", "guess", "label"}, report);
  const auto integers = [&](const char* key) {
    const Entry* entry = map.find(key);
    auto read = [&, key](const Node& item) {
      return read_integer(item, key, {0, kMaxInt}, report);
    };
    return entry ? read_blocks<int64_t>(*entry->value, key, flow, report, read) : std::nullopt;
  };
  const auto segments = integers("num_GS_list");
  const auto iterations = integers("max_jacobi_list");
  if (!map.find("num_GS_list"))
    report.error(map.mark, "`max_jacobi_list` without `num_GS_list`", "state both");
  if (!segments || (map.find("max_jacobi_list") && !iterations)) return std::nullopt;
  std::optional<Strategy> strategy;
  if (flow) strategy.emplace();
  for (size_t i = 0; flow && i < segments->size(); ++i) {
    const Node& item = *map.find("num_GS_list")->value->items[i];
    const auto count =
        located(item.mark, report, [&] { return checked_segments((*segments)[i], *flow); });
    if (!count) return std::nullopt;
    if (*count > 0 && (!iterations || (*iterations)[i] < 1)) {
      const int index = flow->blocks - 1 - static_cast<int>(i);
      report.error(
          iterations ? map.find("max_jacobi_list")->value->items[i]->mark : map.mark,
          fmt::format("block {} is not sequential and needs at least 1 Jacobi iteration", index),
          "state it in `max_jacobi_list`");
      return std::nullopt;
    }
    strategy->blocks.push_back(
        published_plan(*count, *count > 0 ? static_cast<int>((*iterations)[i]) : 0));
  }
  if (!apply_guesses(map, flow, strategy, report)) return std::nullopt;
  return strategy;
}

// One value for all blocks, or a list with one a block, read by `read`; nothing of what is wrong.
// Without the flow a single value stands for itself.
template <typename T, typename Read>
std::vector<T> read_spread(const Entry& entry, const std::optional<FlowSize>& flow, Report& report,
                           Read read) {
  if (entry.value->kind == NodeKind::kList)
    return read_blocks<T>(*entry.value, entry.key, flow, report, read).value_or(std::vector<T>());
  const std::optional<T> value = read(*entry.value);
  if (!value) return {};
  return std::vector<T>(flow ? static_cast<size_t>(flow->blocks) : 1, *value);
}

std::optional<Strategy> from_windows(const Node& map, const std::optional<FlowSize>& flow,
                                     Report& report) {
  require_keys(map, "a strategy given by windows",
               {"window", "tolerance", "guess", "sweeps", "pattern", "label"}, report);
  const Window shared = read_window_settings(map, report);
  const auto widths = read_spread<int>(*map.find("window"), flow, report, [&](const Node& node) {
    return read_window_width(node, report);
  });
  const Entry* const stated = require_tolerance(map, report);
  if (!stated) return std::nullopt;
  const auto tolerances = read_spread<double>(
      *stated, flow, report, [&](const Node& node) { return read_window_tolerance(node, report); });
  if (!flow || widths.empty() || tolerances.empty()) return std::nullopt;
  Strategy strategy;
  for (size_t i = 0; i < widths.size(); ++i) {
    Window window = shared;
    window.width = widths[i];
    window.tolerance = tolerances[i];
    strategy.blocks.push_back({fitted(window, *flow)});
  }
  return strategy;
}

// What a strategy is called that says no name: as the name that means the same, or by its blocks.
std::string name_of(const Strategy& strategy, const FlowSize& flow) {
  if (const auto published = published_name_of(strategy.blocks, flow)) return published->str();
  return window_name_of(strategy.blocks).value_or(describe(strategy));
}

// The block numbers of a key: "7" or "0/6".
std::vector<int> read_block_numbers(const Entry& entry, const std::optional<FlowSize>& flow,
                                    Report& report) {
  std::vector<int> numbers;
  size_t start = 0;
  while (start <= entry.key.size()) {
    const size_t end = std::min(entry.key.find('/', start), entry.key.size());
    const std::string piece = entry.key.substr(start, end - start);
    start = end + 1;
    if (piece.empty() || piece.size() > 6 ||
        piece.find_first_not_of("0123456789") != std::string::npos) {
      report.error(entry.mark, fmt::format("`{}` is not a block", entry.key),
                   "write 7, 0/6 or else");
      return {};
    }
    numbers.push_back(std::stoi(piece));
    if (flow && numbers.back() >= flow->blocks) {
      report.error(entry.mark,
                   fmt::format("block {} of a model with {} blocks", numbers.back(), flow->blocks),
                   fmt::format("blocks are 0 to {}", flow->blocks - 1));
      return {};
    }
  }
  return numbers;
}

// Puts the entries of `blocks:` into `strategy` when the flow is known.
void read_block_map(const Node& map, const std::optional<FlowSize>& flow, Strategy& strategy,
                    Report& report) {
  std::vector<std::optional<BlockPlan>> blocks(flow ? static_cast<size_t>(flow->blocks) : 0);
  std::optional<BlockPlan> others;
  const Entry* else_entry = map.find("else");
  for (const Entry& entry : map.entries) {
    const std::optional<BlockPlan> block = read_block(*entry.value, flow, report);
    if (&entry == else_entry) {
      others = block;
      continue;
    }
    for (const int number : read_block_numbers(entry, flow, report)) {
      if (!flow || !block) continue;
      std::optional<BlockPlan>& slot = blocks[static_cast<size_t>(flow->blocks - 1 - number)];
      if (slot)
        report.error(entry.mark, fmt::format("block {} is stated twice", number),
                     "keep one of them");
      slot = block;
    }
  }
  if (!flow || !report.errors.empty()) return;
  std::vector<int> open;
  for (int index = 0; index < flow->blocks; ++index) {
    if (!blocks[static_cast<size_t>(flow->blocks - 1 - index)]) open.push_back(index);
  }
  if (!else_entry && !open.empty()) {
    report.error(map.mark, fmt::format("no method is stated for block {}", fmt::join(open, ", ")),
                 "add them, or `else: ...` for all other blocks");
  } else if (else_entry && open.empty()) {
    report.error(else_entry->mark, "`else` stands for no block: all are stated", "remove it");
  } else {
    for (const auto& block : blocks) strategy.blocks.push_back(block ? *block : *others);
  }
}

std::optional<Strategy> from_block_map(const Node& map, const std::optional<FlowSize>& flow,
                                       Report& report) {
  require_keys(map, "a strategy given by blocks", {"blocks", "label"}, report);
  const Node& blocks = *map.find("blocks")->value;
  if (!read_map(blocks, "blocks", report)) return std::nullopt;
  Report own = report.fresh();  // tells whether this strategy is complete
  Strategy strategy;
  read_block_map(blocks, flow, strategy, own);
  report.take_errors(own);
  if (!flow || !own.errors.empty()) return std::nullopt;
  strategy.name = name_of(strategy, *flow);
  return strategy;
}

// A label that reads as a name must mean what it says.
void require_honest(const std::string& label, Mark mark, const Strategy& strategy,
                    const FlowSize& flow, Report& report) {
  if (!looks_named(label)) return;
  try {
    const bool honest = std::visit(
        Overloaded{[&](const PublishedName& name) {
                     return published_name_of(strategy.blocks, flow) == name;
                   },
                   [&](const Rival& rival) {
                     return same_but_for_guesses(strategy.blocks,
                                                 rival_strategy(rival, flow).blocks);
                   },
                   [&](const Window& window) { return strategy == window_strategy(window, flow); },
                   [&](const Tuned& tuned) { return strategy == tuned_strategy(tuned, flow); }},
        parse_name(label));
    if (honest) return;
  } catch (const Error&) {  // a name of nothing
  }
  report.error(mark, fmt::format("the label `{}` is the name of another strategy", label),
               "choose another label");
}

// The strategy's `label`, "" without one.
std::optional<std::string> read_label(const Node& map, Report& report) {
  const Entry* entry = map.find("label");
  if (!entry) return "";
  std::optional<std::string> label = read_text(*entry->value, "label", report);
  if (!label) return std::nullopt;
  if (label->size() > kMaxLabel) {
    report.error(entry->value->mark, fmt::format("`label` is longer than {} bytes", kMaxLabel),
                 "shorten it");
    return std::nullopt;
  }
  return label;
}

// A text, or the list of one text that unquoted brackets make of it; nullptr for anything else.
const Node* text_of(const Node& node) {
  if (node.kind == NodeKind::kScalar) return &node;
  const bool one = node.kind == NodeKind::kList && node.items.size() == 1;
  return one && node.items[0]->kind == NodeKind::kScalar ? node.items[0].get() : nullptr;
}

// The entry of `names` that the node is.
const Entry* find_named(const Node& node, const NamedStrategies* names) {
  const Node* text = text_of(node);
  if (!names || !text) return nullptr;
  const auto found = names->find(text->text);
  return found == names->end() ? nullptr : &found->second;
}

// A text that neither has the form of a published name nor is one of `names`, which there are.
bool report_unknown_name(const Node& node, const NamedStrategies* names, Report& report) {
  const Node* text = text_of(node);
  if (!names || names->empty() || !text || text->text.find('-') != std::string::npos ||
      looks_named(text->text)) {
    return false;
  }
  std::vector<std::string> known = rival_names();
  for (const char* name : {"For", "Jacobi-16", "Window-64", "auto"}) known.emplace_back(name);
  for (const auto& [name, entry] : *names) known.push_back(name);
  if (!report.incomplete) {
    report.error(node.mark, fmt::format("there is no strategy `{}`", text->text),
                 did_you_mean(text->text, known));
  }
  return true;
}

// A map with any of the forms, without its label.
std::optional<Strategy> from_map(const Node& node, const std::optional<FlowSize>& flow,
                                 Report& report) {
  if (node.find("blocks")) return from_block_map(node, flow, report);
  if (node.find("num_GS_list") || node.find("max_jacobi_list")) {
    std::optional<Strategy> strategy = from_lists(node, flow, report);
    if (strategy) strategy->name = name_of(*strategy, *flow);
    return strategy;
  }
  if (node.find("stack")) {
    std::optional<Strategy> strategy = read_stack(node, flow, report);
    if (!apply_guesses(node, flow, strategy, report)) return std::nullopt;
    return strategy;
  }
  if (node.find("window")) {
    std::optional<Strategy> strategy = from_windows(node, flow, report);
    if (strategy) strategy->name = name_of(*strategy, *flow);
    return strategy;
  }
  if (node.find("name")) return from_named_map(node, flow, report);
  require_keys(node, "a strategy",
               {"name", "num_GS_list", "max_jacobi_list", "guess_list", "guess", "blocks", "window",
                "tolerance", "sweeps", "pattern", "stack", "segments", "iterations", "else",
                "product", "label"},
               report);
  report.error(node.mark, "this map states no strategy",
               "give `name`, or `num_GS_list` and `max_jacobi_list`, or `stack`, `window` or "
               "`blocks`");
  return std::nullopt;
}

const Entry* label_of(const Node& node) {
  return node.kind == NodeKind::kMap ? node.find("label") : nullptr;
}

}  // namespace

std::optional<Strategy> read_strategy(const Node& node, const std::optional<FlowSize>& flow,
                                      Report& report, const NamedStrategies* names) {
  if (is_product(node, names)) {
    report.error(node.mark, "a product states several strategies, and one is asked for",
                 "list it in a grid, which takes each of them: grid: {strategy: [For, ...]}");
    return std::nullopt;
  }
  if (const Entry* named = find_named(node, names)) {
    std::optional<Strategy> strategy = read_strategy(*named->value, flow, report);
    if (strategy && !label_of(*named->value)) strategy->name = named->key;
    return strategy;
  }
  if (node.kind != NodeKind::kMap) {
    if (report_unknown_name(node, names, report)) return std::nullopt;
    return from_name(node, flow, report);
  }
  const size_t errors_before = report.errors.size();
  std::optional<Strategy> strategy = from_map(node, flow, report);
  const std::optional<std::string> label = read_label(node, report);
  if (!strategy || !label || report.errors.size() != errors_before) return std::nullopt;
  if (label->empty()) return strategy;
  require_honest(*label, node.find("label")->value->mark, *strategy, *flow, report);
  strategy->name = *label;
  return report.errors.size() == errors_before ? strategy : std::nullopt;
}

std::string stated_name(const Node& node, const NamedStrategies& names) {
  if (const Entry* named = find_named(node, &names)) {
    const Entry* const label = label_of(*named->value);
    return label ? label->value->text : named->key;
  }
  if (node.kind == NodeKind::kMap) {
    for (const char* key : {"label", "name"}) {
      if (const Entry* entry = node.find(key)) return stated_name(*entry->value, {});
    }
    return "";
  }
  const Node* text = text_of(node);
  if (!text) return "";
  try {
    if (!looks_named(text->text)) return text->text;
    return std::visit(Overloaded{[](const PublishedName& name) { return name.str(); },
                                 [](const Rival& rival) { return to_string(rival); },
                                 [](const Window& window) { return window_name(window); },
                                 [](const Tuned& tuned) { return tuned_name(tuned); }},
                      parse_name(text->text));
  } catch (const Error&) {
    return text->text;
  }
}

NamedStrategies read_named_strategies(const Node* map, Report& report) {
  NamedStrategies names;
  if (!map || !read_map(*map, "strategies", report)) return names;
  for (const Entry& entry : map->entries) {
    std::string fault;
    if (looks_named(entry.key))
      fault = fmt::format("`{}` is the name of a published strategy", entry.key);
    if (entry.key.empty() || entry.key.size() > kMaxLabel)
      fault = fmt::format("the name of a strategy has 1 to {} bytes", kMaxLabel);
    if (!fault.empty()) {
      report.error(entry.mark, fault, "choose another name");
      continue;
    }
    names.emplace(entry.key, entry);
    Node name;
    name.kind = NodeKind::kScalar;
    name.mark = entry.mark;
    name.text = entry.key;
    if (!is_product(name, &names)) {
      read_strategy(*entry.value, std::nullopt, report);
      continue;
    }
    for (const NodePtr& one : strategies_of(std::make_shared<const Node>(name), names, report))
      read_strategy(*one, std::nullopt, report);
  }
  return names;
}

}  // namespace tarflow::sweep
