#include "analysis/data/sweep_note.h"

#include <fstream>

#include "framework/core/json.h"

namespace tarflow::analysis {
namespace {

std::optional<std::vector<std::string>> texts_in(const Json& note, const char* key) {
  const auto list = note.find(key);
  if (list == note.end() || !list->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& text : *list) {
    if (!text.is_string()) return std::nullopt;
    texts.push_back(text.get<std::string>());
  }
  return texts;
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
  SweepNote note;
  if (named) note.file = file->get<std::string>();
  if (const auto ids = texts_in(json, "ids")) note.ids = {ids->begin(), ids->end()};
  note.set = texts_in(json, "set").value_or(std::vector<std::string>());
  return note;
}

}  // namespace tarflow::analysis
