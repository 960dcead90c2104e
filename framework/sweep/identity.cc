#include "framework/sweep/identity.h"

#include <fmt/format.h>

#include <filesystem>

#include "framework/core/hash.h"

namespace tarflow::sweep {

namespace {

std::string file_name(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return std::filesystem::path(path).filename().string();
}

}  // namespace

std::string identity_text(const Field& field, const Json& value) {
  // Points of one job may differ in nothing but such a file.
  if (field.identity == Identity::kContent && field.shared && value.is_string())
    return canonical(file_name(value.get<std::string>()));
  if (field.identity != Identity::kValue) return "";
  // A strategy counts by what it does, not by what it is called.
  return canonical(field.type == FieldType::kStrategy ? value.at("blocks") : value);
}

// The text is that of canonical() on {"experiment", "revision", "settings"}.
PointIds::PointIds(const ExperimentSchema& schema)
    : text_(fmt::format(R"({{"experiment":{},"revision":{},"settings":{{)", canonical(schema.name),
                        schema.revision)),
      head_(text_.size()) {}

std::string PointIds::id(const std::vector<IdentityPart>& parts) {
  text_.resize(head_);
  for (const auto& [name, value] : parts) {
    if (value->empty()) continue;
    if (text_.size() > head_) text_ += ',';
    text_ += '"';
    text_ += *name;
    text_ += "\":";
    text_ += *value;
  }
  text_ += "}}";
  return short_hash(text_);
}

std::string point_id(const ExperimentSchema& schema, const Settings& settings) {
  std::vector<std::string> texts;
  texts.reserve(settings.size());
  std::vector<IdentityPart> parts;
  for (const SettingPtr& setting : settings) {  // sorted by name
    const Field* field = schema.field(setting->name);
    if (!field) continue;
    texts.push_back(identity_text(*field, setting->value));
    parts.push_back({&field->name, &texts.back()});
  }
  return PointIds(schema).id(parts);
}

}  // namespace tarflow::sweep
