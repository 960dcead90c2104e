#include "analysis/show/markdown.h"

#include <fmt/format.h>

#include <string_view>

namespace tarflow::analysis {
namespace {

// Text that Markdown shows as it is.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += ' ';
      continue;
    }
    if (std::string_view("\\`*_[]<>|#~").find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

// A file name as the target of a link.
std::string link_target(const std::filesystem::path& file) {
  return fmt::format("<{}>", file.generic_string());
}

std::string cell_text(const Cell& cell, const std::vector<std::string>& notes) {
  const std::string text = escaped(cell.text);
  return (cell.bold ? "**" + text + "**" : text) + note_mark(cell, notes);
}

std::string bullet_list(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string text = fmt::format("\n## {}\n\n", title);
  for (const std::string& line : lines) text += fmt::format("- {}\n", escaped(line));
  return text;
}

}  // namespace

std::string escape_markdown(std::string_view text) { return escaped(text); }

std::string render_markdown(const Table& table) {
  const std::vector<std::string> notes = cell_notes(table);
  std::string text = fmt::format("## {}\n\n", escaped(table.title));
  if (!table.introduction.empty()) text += escaped(table.introduction) + "\n";
  if (table.columns.empty()) return text;
  if (!table.introduction.empty()) text += '\n';
  std::string header = "|", rule = "|";
  for (const TableColumn& column : table.columns) {
    header += fmt::format(" {} |", escaped(column.title));
    rule += column.align == Align::kLeft ? " :--- |" : " ---: |";
  }
  text += header + "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    text += '|';
    for (const Cell& cell : row) text += fmt::format(" {} |", cell_text(cell, notes));
    text += '\n';
  }
  for (size_t i = 0; i < notes.size(); ++i) {
    text += fmt::format("\n{} {}\n", note_mark(i), escaped(notes[i]));
  }
  for (const std::string& footnote : table.footnotes)
    text += fmt::format("\n{}\n", escaped(footnote));
  return text;
}

std::string render_markdown(const Report& report) {
  std::string text = report.title.empty() ? "" : fmt::format("# {}\n", escaped(report.title));
  for (const std::string& line : report.summary) text += fmt::format("\n{}\n", escaped(line));
  for (const Table& table : report.tables)
    text += (text.empty() ? "" : "\n") + render_markdown(table);
  for (const Picture& picture : report.pictures) {
    const std::string caption = escaped(picture.caption);
    text += fmt::format("\n## {}\n\n![{}]({})\n\n{}\n\n", escaped(picture.heading()), caption,
                        link_target(picture.file), caption);
    for (size_t row = 0; row < picture.row_labels.size(); ++row) {
      text += fmt::format("{}. {}\n", row + 1, escaped(picture.row_labels[row]));
    }
  }
  text += bullet_list("Points", report.coverage);
  text += bullet_list("Problems", report.problems);
  return text;
}

}  // namespace tarflow::analysis
