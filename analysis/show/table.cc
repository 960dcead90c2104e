#include "analysis/show/table.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace tarflow::analysis {

std::vector<std::string> cell_notes(const Table& table) {
  std::vector<std::string> notes;
  for (const auto& row : table.rows) {
    for (const Cell& cell : row) {
      if (cell.note.empty() || std::find(notes.begin(), notes.end(), cell.note) != notes.end())
        continue;
      notes.push_back(cell.note);
    }
  }
  return notes;
}

std::string note_mark(size_t index) {
  // Unicode has no superscript q.
  static constexpr std::array kLetters = {"ᵃ", "ᵇ", "ᶜ", "ᵈ", "ᵉ", "ᶠ", "ᵍ", "ʰ", "ⁱ",
                                          "ʲ", "ᵏ", "ˡ", "ᵐ", "ⁿ", "ᵒ", "ᵖ", "ʳ", "ˢ",
                                          "ᵗ", "ᵘ", "ᵛ", "ʷ", "ˣ", "ʸ", "ᶻ"};
  std::string mark = kLetters[index % kLetters.size()];
  return index < kLetters.size() ? mark : note_mark(index / kLetters.size() - 1) + mark;
}

std::string note_mark(const Cell& cell, const std::vector<std::string>& notes) {
  if (cell.note.empty()) return "";
  const auto found = std::find(notes.begin(), notes.end(), cell.note);
  return found == notes.end() ? "" : note_mark(static_cast<size_t>(found - notes.begin()));
}

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::vector<std::string> alternatives(std::string_view words) {
  std::vector<std::string> list;
  for (;;) {
    const size_t bar = words.find(" | ");
    list.push_back(lower(words.substr(0, bar)));
    if (bar == std::string_view::npos) return list;
    words.remove_prefix(bar + 3);
  }
}

}  // namespace

std::vector<Table> tables_with(const std::vector<Table>& tables, std::string_view words) {
  std::vector<bool> taken(tables.size(), false);
  for (const std::string& word : alternatives(words)) {
    const auto take = [&](const auto& has) {
      bool any = false;
      for (size_t i = 0; i < tables.size(); ++i) {
        if (lower(has(tables[i])).find(word) == std::string::npos) continue;
        taken[i] = any = true;
      }
      return any;
    };
    if (!take([](const Table& table) { return table.section + "\n" + table.title; }))
      take([](const Table& table) { return table.introduction; });
  }
  std::vector<Table> found;
  for (size_t i = 0; i < tables.size(); ++i) {
    if (taken[i]) found.push_back(tables[i]);
  }
  return found;
}

std::vector<std::string> words_without_table(const std::vector<Table>& tables,
                                             std::string_view words) {
  std::vector<std::string> without;
  for (const std::string& word : alternatives(words)) {
    if (tables_with(tables, word).empty()) without.push_back(word);
  }
  return without;
}

std::string table_titles(const std::vector<Table>& tables) {
  std::string text, section;
  for (const Table& table : tables) {
    if (table.section != section && !table.section.empty()) text += "  " + table.section + "\n";
    section = table.section;
    if (table.title != section) text += (section.empty() ? "  " : "    ") + table.title + "\n";
  }
  return text;
}

bool holds_words(const Table& table, std::string_view words) {
  const std::string text = table.title + "\n" + table.introduction;
  for (;;) {
    const size_t bar = words.find(" | ");
    if (text.find(words.substr(0, bar)) != std::string::npos) return true;
    if (bar == std::string_view::npos) return false;
    words.remove_prefix(bar + 3);
  }
}

}  // namespace tarflow::analysis
