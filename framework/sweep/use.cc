#include "framework/sweep/use.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "framework/sweep/environment.h"
#include "framework/sweep/paths.h"
#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

// Maps of which a local and a used one are joined; of all others the local one counts.
constexpr std::array kMerged = {"models", "strategies", "defaults", "run", "grid", "zip"};

constexpr size_t kMaxFailures = 1000;  // after which nothing more is looked for

bool is_merged(const std::string& key) {
  return std::find(kMerged.begin(), kMerged.end(), key) != kMerged.end();
}

std::vector<std::string> keys_of(const Node& map) {
  std::vector<std::string> keys;
  for (const Entry& entry : map.entries) keys.push_back(entry.key);
  return keys;
}

// The entries of a map in the making, found by key without walking over all of them.
class Entries {
 public:
  Entry* find(const std::string& key) {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &list[found->second];
  }
  void add(Entry entry) {
    places_.emplace(entry.key, list.size());
    list.push_back(std::move(entry));
  }
  std::vector<Entry> list;

 private:
  std::unordered_map<std::string, size_t> places_;
};

// `used` below `own`: the keys that only `used` has stand first.
NodePtr joined(const Node& own, const Node& used) {
  Entries known;
  for (const Entry& entry : own.entries) known.add(entry);
  auto map = std::make_shared<Node>(own);
  map->entries.clear();
  for (const Entry& entry : used.entries) {
    if (!known.find(entry.key)) map->entries.push_back(entry);
  }
  map->entries.insert(map->entries.end(), own.entries.begin(), own.entries.end());
  return map;
}

// What a used map adds to the `local` keys and to those `used` so far.
void take_over(const Node& map, Entries& local, Entries& used) {
  for (const Entry& entry : map.entries) {
    Entry* kept = local.find(entry.key);
    if (!kept) kept = used.find(entry.key);
    if (!kept) {
      used.add(entry);
    } else if (is_merged(entry.key) && kept->value->kind == NodeKind::kMap &&
               entry.value->kind == NodeKind::kMap) {
      kept->value = joined(*kept->value, *entry.value);
    }
  }
}

// The entry for the longest beginning of a dotted key that the map has (a key may hold dots
// itself), and the length of it.
std::pair<const Entry*, size_t> longest_entry(const Node& map, const std::string& key) {
  for (size_t length = key.size(); length != std::string::npos && length > 0;
       length = key.rfind('.', length - 1)) {
    if (const Entry* entry = map.find(key.substr(0, length))) return {entry, length};
  }
  return {nullptr, 0};
}

NodePtr null_at(Mark mark) {
  auto node = std::make_shared<Node>();
  node->mark = mark;
  return node;
}

}  // namespace

Expander::Expander(Sources& sources, std::vector<fs::path> preset_folders,
                   std::shared_ptr<const Folders> root_folders, Report& report)
    : sources_(sources),
      preset_folders_(std::move(preset_folders)),
      root_folders_(std::move(root_folders)),
      report_(report) {}

NodePtr Expander::expand(const NodePtr& node, int source) { return expand(node, source, 1); }

void Expander::charge(Mark mark, int level) {
  if (++nodes_ > kMaxYamlNodes) {
    throw Error(sources_.problem(
        mark, fmt::format("all files of the sweep hold more than {} values", kMaxYamlNodes),
        "use less, or fewer times"));
  }
  if (level > kMaxYamlDepth + 1) {
    throw Error(sources_.problem(
        mark, fmt::format("lists and maps are nested deeper than {} levels", kMaxYamlDepth),
        "flatten the files"));
  }
}

NodePtr Expander::expand(const NodePtr& node, int source, int level) {
  const Mark mark = in_source(node->mark, source);
  charge(mark, level);
  switch (node->kind) {
    case NodeKind::kNull:
      return source == 0 ? node : null_at(mark);
    case NodeKind::kScalar:
      return expand_scalar(node, mark);
    case NodeKind::kList:
      return expand_list(node, mark, level);
    case NodeKind::kMap:
      return expand_map(node, mark, level);
  }
  return node;
}

NodePtr Expander::expand_scalar(const NodePtr& node, Mark mark) {
  const bool refers = may_refer(node->text);
  if (!refers && mark.source == 0) return node;
  auto copy = std::make_shared<Node>(*node);
  copy->mark = mark;
  if (!refers) return copy;
  if (auto text = substitute_environment(*copy, report_)) {
    copy->text = std::move(*text);
    copy->quoted = false;  // quotes are needed around `${env:...}` in braces, for numbers too
  } else {
    report_.silenced.push_back(mark);
  }
  return copy;
}

NodePtr Expander::expand_list(const NodePtr& node, Mark mark, int level) {
  auto list = std::make_shared<Node>();
  list->kind = NodeKind::kList;
  list->mark = mark;
  bool same = mark.source == 0;
  for (const NodePtr& item : node->items) {
    NodePtr value = expand(item, mark.source, level + 1);
    same = same && value == item;
    const bool spliced = item->kind == NodeKind::kMap && item->entries.size() == 1 &&
                         item->find("use") && value->kind == NodeKind::kList;
    if (spliced) {
      list->items.insert(list->items.end(), value->items.begin(), value->items.end());
    } else {
      list->items.push_back(std::move(value));
    }
  }
  return same ? node : list;
}

// A map that is nothing but `use:`.
NodePtr Expander::expand_value(const Node& map, Mark mark, int level) {
  const Entry& use = map.entries[0];
  std::vector<NodePtr> values = targets(use, mark.source, level);
  if (values.empty()) {
    report_.silenced.push_back(mark);
    return null_at(mark);
  }
  if (values.size() == 1) return values[0];
  const NodeKind kind = values[0]->kind;
  const bool alike = std::all_of(values.begin(), values.end(),
                                 [&](const NodePtr& value) { return value->kind == kind; });
  if (!alike || kind == NodeKind::kScalar || kind == NodeKind::kNull) {
    report_.error(in_source(use.mark, mark.source),
                  "only lists, or only maps, can be used together",
                  "use one value, or several of one kind");
    report_.silenced.push_back(mark);
    return null_at(mark);
  }
  auto all = std::make_shared<Node>();
  all->kind = kind;
  all->mark = mark;
  Entries local, used;
  for (const NodePtr& value : values) {
    all->items.insert(all->items.end(), value->items.begin(), value->items.end());
    take_over(*value, local, used);
  }
  all->entries = std::move(used.list);
  return all;
}

NodePtr Expander::expand_map(const NodePtr& node, Mark mark, int level) {
  const Entry* use = node->find("use");
  if (use && node->entries.size() == 1) return expand_value(*node, mark, level);
  Entries local;
  bool same = mark.source == 0 && !use;
  size_t place = 0;  // of what is used
  for (const Entry& entry : node->entries) {
    if (&entry == use) {
      place = local.list.size();
      continue;
    }
    NodePtr value = expand(entry.value, mark.source, level + 1);
    same = same && value == entry.value;
    local.add({entry.key, in_source(entry.mark, mark.source), std::move(value)});
  }
  if (same) return node;
  Entries used;
  for (const NodePtr& value : use ? targets(*use, mark.source, level) : std::vector<NodePtr>{}) {
    if (value->kind == NodeKind::kMap) {
      take_over(*value, local, used);
      continue;
    }
    report_.error(in_source(use->mark, mark.source),
                  fmt::format("`use` beside other keys takes a map, found {}", found(*value)),
                  "a value alone is written `key: {use: FILE#key}`");
    report_.incomplete = true;
  }
  auto map = std::make_shared<Node>();
  map->kind = NodeKind::kMap;
  map->mark = mark;
  map->entries = std::move(local.list);
  map->entries.insert(map->entries.begin() + static_cast<std::ptrdiff_t>(place), used.list.begin(),
                      used.list.end());
  return map;
}

// What `use: FILE#key` or `use: [...]` stands for, without what is wrong.
std::vector<NodePtr> Expander::targets(const Entry& use, int source, int level) {
  std::vector<NodePtr> values;
  const bool several = use.value->kind == NodeKind::kList;
  const std::vector<NodePtr> texts = several ? use.value->items : std::vector{use.value};
  for (const NodePtr& text : texts) {
    NodePtr value;
    if (text->kind == NodeKind::kScalar) {
      const NodePtr written = expand_scalar(text, in_source(text->mark, source));
      value = target(*written, written->mark, level);
    } else {
      report_.error(in_source(text->mark, source),
                    fmt::format("`use`: expected FILE or FILE#key, found {}", found(*text)),
                    "write `use: FILE`, `use: FILE#models.name` or a list of such");
    }
    if (value) {
      values.push_back(std::move(value));
    } else {
      report_.incomplete = true;
    }
  }
  if (several && texts.empty()) {
    report_.error(in_source(use.value->mark, source), "`use` is an empty list", "name a file");
  }
  return values;
}

// What one FILE#key stands for, expanded; nullptr after reporting.
NodePtr Expander::target(const Node& text, Mark mark, int level) {
  charge(mark, level);
  if (report_.errors.size() > kMaxFailures) return nullptr;
  const auto& silenced = report_.silenced;
  if (std::find(silenced.begin(), silenced.end(), mark) != silenced.end()) return nullptr;
  const size_t hash = text.text.find('#');
  const std::string file = text.text.substr(0, hash);
  const std::string key = hash == std::string::npos ? "" : text.text.substr(hash + 1);
  if (file.empty() && key.empty()) {
    report_.error(mark, "`use` names no file", "write `use: FILE` or `use: FILE#key`");
    return nullptr;
  }
  Loaded same{sources_.at(mark).document, sources_.at(mark).folders};
  const Loaded* loaded = file.empty() ? &same : load(file, mark);
  if (!loaded) return nullptr;
  std::string step = fmt::format("{}{}{}", loaded->document->file, key.empty() ? "" : "#", key);
  if (std::find(open_.begin(), open_.end(), step) != open_.end()) {
    report_.error(
        mark, fmt::format("`use` leads in a circle: {} uses {}", fmt::join(open_, " uses "), step),
        "remove one of them");
    return nullptr;
  }
  if (open_.size() >= kMaxUseDepth) {
    report_.error(mark, fmt::format("`use` leads through more than {} files", kMaxUseDepth),
                  "use the last of them at once");
    return nullptr;
  }
  open_.push_back(std::move(step));
  const int source = sources_.add({loaded->document, mark, loaded->folders});
  const std::string shown = loaded->document->file;
  NodePtr value = follow(loaded->document->root, key, source, mark, level, shown);
  open_.pop_back();
  return value;
}

// The value below `key` of an unexpanded tree, expanded.
NodePtr Expander::follow(NodePtr node, std::string key, int source, Mark mark, int level,
                         const std::string& file) {
  bool expanded = false;
  std::string passed;
  while (!key.empty()) {
    if (node->kind == NodeKind::kMap && node->find("use") && !expanded) {
      node = expand(node, source, level);
      expanded = true;
    }
    if (node->kind != NodeKind::kMap) {
      report_.error(
          mark,
          fmt::format("{} has no keys{}{}{}: it is {}", file, passed.empty() ? "" : " below `",
                      passed, passed.empty() ? "" : "`", found(*node)),
          "leave out `#` and what follows, or name a key of a map");
      return nullptr;
    }
    const auto [entry, length] = longest_entry(*node, key);
    if (!entry) {
      const std::string first = key.substr(0, key.find('.'));
      report_.error(
          mark, fmt::format("{} has no `{}{}`", file, passed.empty() ? "" : passed + ".", first),
          did_you_mean(first, keys_of(*node)));
      return nullptr;
    }
    passed += (passed.empty() ? "" : ".") + key.substr(0, length);
    key = length < key.size() ? key.substr(length + 1) : "";
    node = entry->value;
  }
  return expanded ? node : expand(node, source, level);
}

const Expander::Loaded* Expander::load(const std::string& file, Mark mark) {
  const fs::path user = sources_.at(mark).document->file;
  Folders folders = {fs::absolute(user).lexically_normal().parent_path()};
  folders.insert(folders.end(), preset_folders_.begin(), preset_folders_.end());
  const FoundPath place = find_path(file, folders);
  if (!place.present) {
    report_.error(mark, fmt::format("there is no file {}", file),
                  place.looked_in.empty() ? "correct the path"
                                          : fmt::format("looked for in {}", place.looked_in));
    return nullptr;
  }
  if (const auto known = loaded_.find(place.path); known != loaded_.end()) return &known->second;
  try {
    auto document = std::make_shared<Document>(read_yaml(place.path));
    document->file = shown_path(place.path);
    if ((bytes_ += document->text.size()) > kMaxYamlBytes) {
      report_.error(
          mark,
          fmt::format("all files of the sweep together have more than {} bytes", kMaxYamlBytes),
          "use fewer files");
      return nullptr;
    }
    auto own = std::make_shared<Folders>(search_folders(place.path));
    for (const fs::path& folder : *root_folders_) {
      if (std::find(own->begin(), own->end(), folder) == own->end()) own->push_back(folder);
    }
    report_.errors.insert(report_.errors.end(), document->problems.begin(),
                          document->problems.end());
    return &loaded_.emplace(place.path, Loaded{std::move(document), std::move(own)}).first->second;
  } catch (const Error& failure) {
    for (Problem problem : failure.problems()) {
      problem.repair += fmt::format("{}used in {}", problem.repair.empty() ? "" : "\n  ",
                                    report_.sources.problem(mark, "").place.str());
      report_.errors.push_back(std::move(problem));
    }
    return nullptr;
  }
}

}  // namespace tarflow::sweep
