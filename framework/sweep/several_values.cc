#include "framework/sweep/several_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace tarflow::sweep {
namespace {

// A text that YAML would take for a list or a map in a list is quoted.
std::string list_item(const std::string& text) {
  const bool plain = text.find_first_of("[]{},:#&*!|>'\"%@`") == std::string::npos;
  return plain ? text : fmt::format("\"{}\"", text);
}

// The parts of a text between commas that stand in no brackets.
std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else if (c != ' ' || !parts.back().empty()) {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

std::string as_axis(const Field& field, const Node& value) {
  const bool lists = field.type == FieldType::kIntegerList || field.type == FieldType::kNumberList;
  if (lists || value.kind != NodeKind::kList || value.items.empty()) return "";
  std::vector<std::string> items;
  for (const NodePtr& item : value.items) {
    if (item->kind != NodeKind::kScalar) return "";
    items.push_back(list_item(item->text));
  }
  return fmt::format("for a point per value write it under `grid:`, grid: {{{}: [{}]}}", field.name,
                     fmt::join(items, ", "));
}

std::string as_set_list(const Field& field, const Node& value) {
  if (value.kind != NodeKind::kScalar || value.quoted) return "";
  std::vector<std::string> parts = parts_of(value.text);
  if (parts.size() < 2) return "";
  for (std::string& part : parts) {
    if (part.empty()) return "";
    part = list_item(part);
  }
  return fmt::format("for a point per value write --set '{}=[{}]'", field.name,
                     fmt::join(parts, ", "));
}

void give_repair(Report& report, size_t first, const std::string& repair) {
  if (repair.empty()) return;
  for (size_t i = first; i < report.errors.size(); ++i) {
    if (report.errors[i].repair.empty()) report.errors[i].repair = repair;
  }
}

}  // namespace tarflow::sweep
