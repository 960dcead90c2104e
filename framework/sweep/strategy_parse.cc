#include "framework/sweep/strategy_parse.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <climits>

#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace {

constexpr size_t kMaxLabel = 80;
constexpr int64_t kMaxInt = INT_MAX;

// Calls `make`, which throws Errors without a place, and reports them at `mark`.
template <typename Make>
auto located(Mark mark, Report& report, Make make) -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const Error& failure) {
    for (const Problem& problem : failure.problems())
      report.error(mark, problem.what, problem.repair);
    return std::nullopt;
  }
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

// A list with one entry a block, read by `read`; for another length both numbers are reported.
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

bool is_word(const Node& node, const char* word) {
  return node.kind == NodeKind::kScalar && node.text == word;
}

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
  if (strategy && strategy->sequential() && !map.find("num_GS_list")) {
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
    if (!strategy->blocks[i].sequential()) strategy->blocks[i].guess = guesses[i];
  }
  return true;
}

// A published name, which unquoted brackets make a list of one text.
std::optional<PublishedName> read_name(const Node& node, Report& report) {
  const Node* text = &node;
  if (node.kind == NodeKind::kList) {
    if (node.items.size() != 1 || node.items[0]->kind != NodeKind::kScalar) {
      report.error(node.mark,
                   fmt::format("expected one strategy, found a list of {}", node.items.size()),
                   "to run several strategies, list them under `grid:`");
      return std::nullopt;
    }
    text = node.items[0].get();
  }
  if (text->kind != NodeKind::kScalar) {
    report.error(node.mark, fmt::format("expected a strategy, found {}", found(*text)),
                 "write [Stack-GS-J-Else], as [7-8-32-10], or For");
    return std::nullopt;
  }
  return located(node.mark, report, [&] { return parse_published_name(text->text); });
}

std::optional<Strategy> from_name(const Node& node, const std::optional<FlowSize>& flow,
                                  Report& report) {
  const std::optional<PublishedName> name = read_name(node, report);
  if (!name || !flow) return std::nullopt;
  return located(node.mark, report, [&] { return published_strategy(*name, *flow); });
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
    BlockStrategy block;
    if (*count > 0) {
      if (!iterations || (*iterations)[i] < 1) {
        const int index = flow->blocks - 1 - static_cast<int>(i);
        report.error(
            iterations ? map.find("max_jacobi_list")->value->items[i]->mark : map.mark,
            fmt::format("block {} is not sequential and needs at least 1 Jacobi iteration", index),
            "state it in `max_jacobi_list`");
        return std::nullopt;
      }
      block = {*count,
               static_cast<int>((*iterations)[i]),
               Guess::kZ,
               kPublishedClamp,
               StopRule::kPublished,
               kPublishedStop};
    }
    strategy->blocks.push_back(block);
  }
  if (!apply_guesses(map, flow, strategy, report)) return std::nullopt;
  return strategy;
}

// `stop: none` or `stop: {published: 1.0e-6}`.
bool read_stop(const Node& node, BlockStrategy& block, Report& report) {
  if (node.kind == NodeKind::kScalar && node.text == "none") return true;
  if (!read_map(node, "stop", report)) return false;
  require_keys(node, "`stop`", {"published"}, report);
  const Entry* published = node.find("published");
  if (!published) return false;
  const auto threshold = read_number(*published->value, "published", {0.0, {}}, report);
  if (threshold) {
    block.stop = StopRule::kPublished;
    block.stop_threshold = *threshold;
  }
  return threshold.has_value();
}

std::optional<BlockStrategy> read_block(const Node& node, const std::optional<FlowSize>& flow,
                                        Report& report) {
  if (is_word(node, "sequential")) return BlockStrategy{};
  if (!read_map(node, "a block", report)) return std::nullopt;
  const size_t errors_before = report.errors.size();
  require_keys(node, "a block", {"segments", "max_iterations", "guess", "clamp", "stop"}, report);
  BlockStrategy block;
  if (const Entry* entry = node.find("segments")) {
    if (!is_word(*entry->value, "sequential")) {
      const auto written = read_integer(*entry->value, "segments", {0, kMaxInt}, report);
      if (!written) return std::nullopt;
      const auto segments = located(entry->value->mark, report, [&] {
        return checked_segments(*written, flow.value_or(FlowSize{0, INT_MAX}));
      });
      if (!segments) return std::nullopt;
      block.segments = *segments;
    }
  } else {
    report.error(node.mark, "a block needs `segments`",
                 "0: sequential, 1: Jacobi over all tokens, more: GS-Jacobi");
    return std::nullopt;
  }
  if (block.sequential()) {
    for (const Entry& entry : node.entries) {
      if (entry.key == "segments") continue;
      report.error(entry.mark, fmt::format("a sequential block has no use for `{}`", entry.key),
                   "remove it");
    }
    return report.errors.size() == errors_before ? std::optional(block) : std::nullopt;
  }
  if (const Entry* entry = node.find("max_iterations")) {
    block.max_iterations = static_cast<int>(
        read_integer(*entry->value, "max_iterations", {1, kMaxInt}, report).value_or(0));
  } else {
    report.error(node.mark, "a block that is not sequential needs `max_iterations`",
                 "state at least 1");
  }
  if (const Entry* entry = node.find("guess")) {
    block.guess = read_guess(*entry->value, "guess", report).value_or(Guess::kZ);
  }
  if (const Entry* entry = node.find("clamp"); entry && !is_word(*entry->value, "none")) {
    block.clamp = read_number(*entry->value, "clamp", {0.0, {}}, report).value_or(0);
  }
  if (const Entry* entry = node.find("stop")) read_stop(*entry->value, block, report);
  return report.errors.size() == errors_before ? std::optional(block) : std::nullopt;
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
  std::vector<std::optional<BlockStrategy>> blocks(flow ? static_cast<size_t>(flow->blocks) : 0);
  std::optional<BlockStrategy> others;
  const Entry* else_entry = map.find("else");
  for (const Entry& entry : map.entries) {
    const std::optional<BlockStrategy> block = read_block(*entry.value, flow, report);
    if (&entry == else_entry) {
      others = block;
      continue;
    }
    for (const int number : read_block_numbers(entry, flow, report)) {
      if (!flow || !block) continue;
      std::optional<BlockStrategy>& slot = blocks[static_cast<size_t>(flow->blocks - 1 - number)];
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
    report.error(map.mark, fmt::format("nothing is said about block {}", fmt::join(open, ", ")),
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
  const auto published = published_name_of(strategy.blocks, *flow);
  strategy.name = published ? published->str() : describe(strategy);
  return strategy;
}

// A label that reads as a published name must mean what it says.
void require_honest(const std::string& label, Mark mark, const Strategy& strategy,
                    const FlowSize& flow, Report& report) {
  if (!looks_published(label)) return;
  const auto published = published_name_of(strategy.blocks, flow);
  if (published && located(mark, report, [&] { return parse_published_name(label); }) == published)
    return;
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
      looks_published(text->text)) {
    return false;
  }
  std::vector<std::string> known = {"For"};
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
    if (!strategy) return std::nullopt;
    const auto published = published_name_of(strategy->blocks, *flow);
    strategy->name = published ? published->str() : describe(*strategy);
    return strategy;
  }
  if (node.find("name")) return from_named_map(node, flow, report);
  require_keys(node, "a strategy",
               {"name", "num_GS_list", "max_jacobi_list", "guess_list", "guess", "blocks", "label"},
               report);
  report.error(node.mark, "this map states no strategy",
               "give `name`, or `num_GS_list` and `max_jacobi_list`, or `blocks`");
  return std::nullopt;
}

}  // namespace

std::optional<Strategy> read_strategy(const Node& node, const std::optional<FlowSize>& flow,
                                      Report& report, const NamedStrategies* names) {
  if (const Entry* named = find_named(node, names)) {
    std::optional<Strategy> strategy = read_strategy(*named->value, flow, report);
    const bool labelled = named->value->kind == NodeKind::kMap && named->value->find("label");
    if (strategy && !labelled) strategy->name = named->key;
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
    const Node& value = *named->value;
    const bool labelled = value.kind == NodeKind::kMap && value.find("label");
    return labelled ? value.find("label")->value->text : named->key;
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
    return looks_published(text->text) ? parse_published_name(text->text).str() : text->text;
  } catch (const Error&) {
    return text->text;
  }
}

NamedStrategies read_named_strategies(const Node* map, Report& report) {
  NamedStrategies names;
  if (!map || !read_map(*map, "strategies", report)) return names;
  for (const Entry& entry : map->entries) {
    if (looks_published(entry.key)) {
      report.error(entry.mark, fmt::format("`{}` is the name of a published strategy", entry.key),
                   "choose another name");
      continue;
    }
    if (entry.key.empty() || entry.key.size() > kMaxLabel) {
      report.error(entry.mark, fmt::format("the name of a strategy has 1 to {} bytes", kMaxLabel),
                   "choose another name");
      continue;
    }
    read_strategy(*entry.value, std::nullopt, report);
    names.emplace(entry.key, entry);
  }
  return names;
}

}  // namespace tarflow::sweep
