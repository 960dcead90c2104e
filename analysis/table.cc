#include "analysis/table.h"

#include <algorithm>
#include <array>

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
