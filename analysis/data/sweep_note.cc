#include "analysis/data/sweep_note.h"

#include <fstream>

#include "framework/core/json.h"

namespace tarflow::analysis {
namespace {

std::optional<std::set<std::string>> ids_in(const Json& note) {
  const auto list = note.find("ids");
  if (list == note.end() || !list->is_array()) return std::nullopt;
  std::set<std::string> ids;
  for (const Json& id : *list) {
    if (!id.is_string()) return std::nullopt;
    ids.insert(id.get<std::string>());
  }
  return ids;
}

}  // namespace

void SweepNote::drop_left(std::vector<std::string>& points) const {
  if (ids) std::erase_if(points, [&](const std::string& id) { return !ids->contains(id); });
}

SweepNote sweep_note(const Source& source) {
  std::ifstream in(std::filesystem::path(source.file).replace_extension() / "sweep.json");
  const Json json = in ? Json::parse(in, nullptr, /*allow_exceptions=*/false) : Json();
  if (!json.is_object()) return {};
  const auto file = json.find("file");
  const bool named = file != json.end() && file->is_string();
  return {named ? file->get<std::string>() : "", ids_in(json)};
}

}  // namespace tarflow::analysis
