#include "framework/sweep/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/sweep/paths.h"
#include "framework/sweep/scalars.h"
#include "framework/sweep/strategy_parse.h"

namespace tarflow::sweep {
namespace {

Range<double> number_range(const Field& field) { return {field.minimum, field.maximum}; }

Range<int64_t> integer_range(const Field& field) {
  Range<int64_t> range;
  if (field.minimum) range.minimum = static_cast<int64_t>(std::ceil(*field.minimum));
  if (field.maximum) range.maximum = static_cast<int64_t>(std::floor(*field.maximum));
  return range;
}

template <typename T>
std::optional<Json> as_json(const std::optional<T>& value) {
  return value ? std::optional<Json>(*value) : std::nullopt;
}

// A list of which every item is read by `read`.
template <typename Read>
std::optional<Json> read_items(const Field& field, const Node& node, Report& report, Read read) {
  if (!read_list(node, field.name, report)) return std::nullopt;
  Json list = Json::array();
  for (const NodePtr& item : node.items) {
    if (const auto value = read(*item)) list.push_back(*value);
  }
  return list.size() == node.items.size() ? std::optional<Json>(std::move(list)) : std::nullopt;
}

std::optional<Json> read_choice(const Field& field, const Node& node, Report& report) {
  const auto text = read_text(node, field.name, report);
  if (!text || field.choices.empty()) return as_json(text);
  if (std::find(field.choices.begin(), field.choices.end(), *text) != field.choices.end())
    return *text;
  report.error(node.mark, fmt::format("`{}` cannot be `{}`", field.name, *text),
               did_you_mean(*text, field.choices));
  return std::nullopt;
}

// Files of a distance that everybody gets from the same place, where the sweep does not say.
std::string known_publisher(const std::string& path) {
  if (path.find("inception-2015-12-05-6726825d") != std::string::npos) {
    return "toshas/torch-fidelity on GitHub, a release file named "
           "weights-inception-2015-12-05-6726825d.pth";
  }
  if (path.ends_with("_fid_stats.pth"))
    return "encoreus on Hugging Face, Transformer_Autoregressive_Flow";
  return "";
}

// A path, or {path, published}, the latter naming who publishes it for those who lack the file.
std::optional<Json> read_path(const Field& field, const Node& node,
                              const Surroundings& surroundings, Report& report) {
  const Node* written = &node;
  std::string published;
  if (node.kind == NodeKind::kMap) {
    require_keys(node, fmt::format("`{}`", field.name), {"path", "published"}, report);
    if (const Entry* entry = node.find("published")) {
      published = read_text(*entry->value, "published", report).value_or("");
    }
    const Entry* path = node.find("path");
    if (!path) {
      report.error(node.mark, fmt::format("`{}` has no `path`", field.name),
                   "name the file or folder");
      return std::nullopt;
    }
    written = path->value.get();
  }
  const auto text = read_text(*written, field.name, report);
  if (!text) return std::nullopt;
  const FoundPath found =
      find_path(*text, *report.sources.at(written->mark).folders, surroundings.made);
  if (!found.present) {
    report.miss(written->mark, found.path.string(), fmt::format("`{}`", field.name), *text,
                where_to_get(published.empty() ? known_publisher(*text) : published, found));
  }
  return found.path.string();
}

std::optional<Json> read_model_name(const Field& field, const Node& node,
                                    const Surroundings& surroundings, Report& report) {
  const auto name = read_text(node, field.name, report);
  if (!name) return std::nullopt;
  const auto found = surroundings.models.find(*name);
  if (found == surroundings.models.end()) {
    if (report.incomplete) return std::nullopt;
    std::vector<std::string> names;
    for (const auto& [known, entry] : surroundings.models) names.push_back(known);
    report.error(node.mark, fmt::format("there is no model `{}`", *name),
                 names.empty() ? "add it under `models:`" : did_you_mean(*name, names));
    return std::nullopt;
  }
  require_model(found->second, surroundings.allow_missing, report);
  return *name;
}

}  // namespace

std::optional<Json> read_field(const Field& field, const Node& node,
                               const Surroundings& surroundings,
                               const std::optional<FlowSize>& flow, Report& report) {
  const auto integer = [&](const Node& item) {
    return read_integer(item, field.name, integer_range(field), report);
  };
  const auto number = [&](const Node& item) {
    return read_number(item, field.name, number_range(field), report);
  };
  switch (field.type) {
    case FieldType::kBoolean:
      return as_json(read_boolean(node, field.name, report));
    case FieldType::kInteger:
      return as_json(integer(node));
    case FieldType::kNumber:
      return as_json(number(node));
    case FieldType::kString:
    case FieldType::kChoice:
      return read_choice(field, node, report);
    case FieldType::kPath:
      return read_path(field, node, surroundings, report);
    case FieldType::kModel:
      return read_model_name(field, node, surroundings, report);
    case FieldType::kStrategy: {
      const auto strategy = read_strategy(node, flow, report, &surroundings.strategies);
      if (strategy && strategy->open_deviation() && !field.tuned) {
        report.error(node.mark,
                     fmt::format("`{}` cannot choose the strategy {}", field.name, strategy->name),
                     "run `tune` and write the strategy that it gives; evaluate and sample choose "
                     "by themselves");
        return std::nullopt;
      }
      return strategy ? std::optional<Json>(to_json(*strategy)) : std::nullopt;
    }
    case FieldType::kIntegerList:
      return read_items(field, node, report, integer);
    case FieldType::kNumberList:
      return read_items(field, node, report, number);
  }
  return std::nullopt;
}

NodePtr node_of(const Json& value, Mark mark) {
  auto node = std::make_shared<Node>();
  node->mark = mark;
  if (value.is_array()) {
    node->kind = NodeKind::kList;
    for (const Json& item : value) node->items.push_back(node_of(item, mark));
  } else if (value.is_object()) {
    node->kind = NodeKind::kMap;
    for (const auto& [key, item] : value.items())
      node->entries.push_back({key, mark, node_of(item, mark)});
  } else if (!value.is_null()) {
    node->kind = NodeKind::kScalar;
    node->quoted = value.is_string();
    node->text = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return node;
}

}  // namespace tarflow::sweep
