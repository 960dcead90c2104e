#include "framework/sweep/values.h"

#include <fmt/format.h>

#include <algorithm>

#include <charconv>

#include "framework/sweep/identity.h"
#include "framework/sweep/window_name.h"

namespace tarflow::sweep {
namespace {

// The one width that a legal strategy states for its windows, before it is fitted to a model; 0: it
// states none, or several.
int stated_window(const Node& node) {
  if (node.kind == NodeKind::kScalar) {
    const auto window = parse_window_name(node.text);
    return window ? window->width : 0;
  }
  if (node.kind != NodeKind::kMap) return 0;
  if (const Entry* name = node.find("name")) return stated_window(*name->value);
  const Entry* entry = node.find("window");
  if (!entry) return 0;
  const std::string& text = entry->value->text;
  int width = 0;
  std::from_chars(text.data(), text.data() + text.size(), width);
  return width;
}

}  // namespace

Values::Values(const ExperimentSchema& schema, const Surroundings& surroundings, Report& report)
    : schema_(schema), surroundings_(surroundings), report_(report), pools_(schema.fields.size()) {
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    if (schema.fields[i].type == FieldType::kModel) model_field_ = i;
  }
  for (const auto& [name, model] : surroundings.models) {
    const auto flow = model.flow();
    const auto same = [&](const FlowSize& other) {
      return other.blocks == flow->blocks && other.tokens == flow->tokens;
    };
    if (flow && std::none_of(flows_.begin(), flows_.end(), same)) flows_.push_back(*flow);
  }
}

Cell Values::add(size_t field, NodePtr node) {
  Choice choice;
  const Field& kind = schema_.fields[field];
  choice.value.mark = node->mark;
  if (kind.type == FieldType::kStrategy) {
    const std::string name = stated_name(*node, surroundings_.strategies);
    choice.named = make_setting(kind.name, {{"name", name}, {"blocks", nullptr}});
  } else if (auto json = read_field(kind, *node, surroundings_, std::nullopt, report_)) {
    choice.value.identity = identity_text(kind, *json);
    choice.value.setting = make_setting(kind.name, std::move(*json));
  }
  choice.node = std::move(node);
  pools_[field].push_back(std::move(choice));
  return static_cast<Cell>(pools_[field].size());
}

std::optional<FlowSize> Values::flow(Cell model) const {
  if (model == 0) return std::nullopt;
  const SettingPtr& setting = pools_[*model_field_][model - 1].value.setting;
  if (!setting) return std::nullopt;
  return surroundings_.models.at(setting->value.get<std::string>()).flow();
}

const Values::ForModel& Values::strategy(size_t field, Cell cell, Cell model) {
  const uint64_t key = (static_cast<uint64_t>(field) << 58) ^ (static_cast<uint64_t>(cell) << 28) ^
                       static_cast<uint64_t>(model);
  const auto [place, is_new] = strategies_.try_emplace(key);
  if (!is_new) return place->second;
  const Choice& choice = pools_[field][cell - 1];
  Report own = report_.fresh();
  ForModel& result = place->second;
  result.value.mark = choice.node->mark;
  if (auto json =
          read_field(schema_.fields[field], *choice.node, surroundings_, flow(model), own)) {
    result.value.identity = identity_text(schema_.fields[field], *json);
    result.value.setting = make_setting(schema_.fields[field].name, std::move(*json));
  }
  result.errors = std::move(own.errors);
  return result;
}

const Value* Values::at(size_t field, const Cell* row) {
  const Cell cell = row[field];
  if (cell == 0) return nullptr;
  const Value& value = schema_.fields[field].type == FieldType::kStrategy
                           ? strategy(field, cell, model_field_ ? row[*model_field_] : 0).value
                           : pools_[field][cell - 1].value;
  return value.setting ? &value : nullptr;
}

const Setting* Values::setting(size_t field, const Cell* row) {
  if (const Value* value = at(field, row)) return value->setting.get();
  return row[field] ? pools_[field][row[field] - 1].named.get() : nullptr;
}

void Values::require_strategies(const Rows& rows) {
  for (size_t field = 0; field < width(); ++field) {
    if (schema_.fields[field].type != FieldType::kStrategy) continue;
    for (size_t i = 0; i < rows.count; ++i) {
      const Cell cell = rows.row(i)[field];
      if (cell == 0) continue;
      const Cell model = model_field_ ? rows.row(i)[*model_field_] : 0;
      const size_t known = strategies_.size();
      const ForModel& read = strategy(field, cell, model);
      Choice& choice = pools_[field][cell - 1];
      const bool seen = choice.checked && strategies_.size() == known && read.errors.empty();
      choice.checked = true;
      if (seen || report_.errors.size() > 1000) continue;
      report_.errors.insert(report_.errors.end(), read.errors.begin(), read.errors.end());
    }
    for (const Choice& choice : pools_[field]) {
      if (!choice.checked) {
        read_field(schema_.fields[field], *choice.node, surroundings_, std::nullopt, report_);
      }
    }
  }
}

std::optional<std::string> Values::equality_text(size_t field, Cell cell) {
  const Choice& choice = pools_[field][cell - 1];
  const bool path = schema_.fields[field].type == FieldType::kPath;  // equal names are not enough
  const auto text_of = [&](const Value& value) {
    return value.identity.empty() || path ? value.setting->text : value.identity;
  };
  if (schema_.fields[field].type != FieldType::kStrategy) {
    return choice.value.setting ? std::optional(text_of(choice.value)) : std::nullopt;
  }
  std::string text;
  const size_t models = model_field_ ? pools_[*model_field_].size() : 0;
  for (Cell model = 1; model <= models; ++model) {
    const Value& value = strategy(field, cell, model).value;
    if (!value.setting) return std::nullopt;
    text += text_of(value);
  }
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

std::string Values::why_equal(size_t field, Cell one, Cell other) {
  if (schema_.fields[field].type != FieldType::kStrategy || !model_field_) return "";
  const int widest = std::max(stated_window(*pools_[field][one - 1].node),
                              stated_window(*pools_[field][other - 1].node));
  for (Cell model = 1; model <= pools_[*model_field_].size(); ++model) {
    const auto size = flow(model);
    if (!size || widest < size->tokens) continue;
    return fmt::format(": of {} tokens a window has at most {}", size->tokens, size->tokens - 1);
  }
  return "";
}

}  // namespace tarflow::sweep
