#include "analysis/show/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "analysis/show/width.h"

namespace tarflow::analysis {
namespace {

constexpr int kGap = 2;             // spaces between columns
constexpr int kSmallestLabel = 16;  // a left-aligned column is not wrapped to less

std::string strong(const std::string& text, const TextStyle& style) {
  return style.bold ? "\033[1m" + text + "\033[0m" : text;
}

std::string shown(const Cell& cell, const TextStyle& style) {
  return cell.bold && !style.bold ? "*" + cell.text + "*" : cell.text;
}

std::string paragraph(const std::string& text, int width, const std::string& first = "") {
  const int indent = display_width(first);
  std::string result;
  for (const std::string& line : wrap(text, width - indent)) {
    result +=
        (result.empty() ? first : std::string(static_cast<size_t>(indent), ' ')) + line + "\n";
  }
  return result;
}

struct ColumnWidth {
  int width = 0;    // of header and cells, marks of notes included
  int minimum = 0;  // when headers and labels are wrapped
  int mark = 0;     // kept free at the right, so that numbers stay aligned beside marked ones
  int trim = 0;     // likewise for the asterisk after bold cells
};

struct Layout {
  const Table& table;
  const TextStyle& style;
  std::vector<std::string> notes;
  std::vector<ColumnWidth> columns;
};

ColumnWidth measure(const Layout& layout, size_t index) {
  ColumnWidth column;
  const TableColumn& header = layout.table.columns[index];
  int body = 0;
  for (const auto& row : layout.table.rows) {
    column.mark = std::max(column.mark, display_width(note_mark(row[index], layout.notes)));
    if (row[index].bold && !layout.style.bold && header.align == Align::kRight) column.trim = 1;
  }
  for (const auto& row : layout.table.rows) {
    const bool starred = row[index].bold && !layout.style.bold;
    body = std::max(body,
                    display_width(shown(row[index], layout.style)) + (starred ? 0 : column.trim));
  }
  body += column.mark;
  column.width = std::max(body, display_width(header.title));
  const int smallest_body =
      header.align == Align::kLeft ? std::min(body, kSmallestLabel + column.mark) : body;
  column.minimum = std::max(smallest_body, longest_word(header.title));
  return column;
}

int total_width(const std::vector<ColumnWidth>& columns) {
  return std::accumulate(columns.begin(), columns.end(), -kGap,
                         [](int sum, const ColumnWidth& c) { return sum + c.width + kGap; });
}

// Narrows the columns that wrap easiest until the table fits or nothing is left to wrap.
void narrow(std::vector<ColumnWidth>& columns, int width) {
  while (total_width(columns) > width) {
    const auto slack = [](const ColumnWidth& c) { return c.width - c.minimum; };
    auto widest =
        std::max_element(columns.begin(), columns.end(),
                         [&](const auto& a, const auto& b) { return slack(a) < slack(b); });
    if (widest == columns.end() || slack(*widest) <= 0) return;
    --widest->width;
  }
}

// Takes back what wrapping a column has left free.
void tighten(Layout& layout) {
  for (size_t i = 0; i < layout.columns.size(); ++i) {
    ColumnWidth& column = layout.columns[i];
    int used = 0;
    const auto measure_lines = [&](const std::vector<std::string>& lines, int extra) {
      for (const std::string& line : lines) used = std::max(used, display_width(line) + extra);
    };
    measure_lines(wrap(layout.table.columns[i].title, column.width), 0);
    for (const auto& row : layout.table.rows) {
      const bool starred = row[i].bold && !layout.style.bold;
      measure_lines(wrap(shown(row[i], layout.style), column.width - column.mark),
                    column.mark + (starred ? 0 : column.trim));
    }
    column.width = std::min(column.width, used);
  }
}

// Column indices of each part; the first column is repeated.
std::vector<std::vector<size_t>> parts(const std::vector<ColumnWidth>& columns, int width) {
  std::vector<std::vector<size_t>> result = {{0}};
  int used = columns[0].width;
  for (size_t i = 1; i < columns.size(); ++i) {
    if (used + kGap + columns[i].width > width && result.back().size() > 1) {
      result.push_back({0});
      used = columns[0].width;
    }
    result.back().push_back(i);
    used += kGap + columns[i].width;
  }
  return result;
}

struct Block {  // the lines of one cell, unpadded, and what to do with them
  std::vector<std::string> lines;
  Align align = Align::kLeft;
  bool strong = false;
  int width = 0;
};

// Sets cells side by side; headers stand at the bottom of their row, others at the top.
std::string side_by_side(const std::vector<Block>& blocks, bool bottom, const TextStyle& style) {
  size_t height = 1;
  for (const Block& block : blocks) height = std::max(height, block.lines.size());
  std::string text;
  for (size_t line = 0; line < height; ++line) {
    std::string row;
    for (const Block& block : blocks) {
      if (&block != &blocks.front()) row += std::string(kGap, ' ');
      const size_t skip = bottom ? height - block.lines.size() : 0;
      const bool here = line >= skip && line - skip < block.lines.size();
      const std::string piece = here ? block.lines[line - skip] : "";
      const std::string pad(static_cast<size_t>(std::max(0, block.width - display_width(piece))),
                            ' ');
      const std::string inked = block.strong && !piece.empty() ? strong(piece, style) : piece;
      row += block.align == Align::kLeft ? inked + pad : pad + inked;
    }
    text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

Block header_block(const Layout& layout, size_t index) {
  const TableColumn& column = layout.table.columns[index];
  return {wrap(column.title, layout.columns[index].width), column.align, false,
          layout.columns[index].width};
}

Block cell_block(const Layout& layout, const std::vector<Cell>& row, size_t index) {
  const Cell& cell = row[index];
  const ColumnWidth& column = layout.columns[index];
  Block block{{}, layout.table.columns[index].align, cell.bold, column.width};
  const std::string mark = note_mark(cell, layout.notes);
  block.lines = wrap(shown(cell, layout.style), column.width - column.mark);
  std::string& last = block.lines.back();
  last += mark;
  if (block.align == Align::kRight) {
    const bool starred = cell.bold && !layout.style.bold;
    last += std::string(static_cast<size_t>(column.mark - display_width(mark)), ' ');
    if (!starred) last += std::string(static_cast<size_t>(column.trim), ' ');
  }
  return block;
}

std::string part_text(const Layout& layout, const std::vector<size_t>& indices) {
  std::vector<Block> header;
  int width = -kGap;
  for (size_t index : indices) {
    header.push_back(header_block(layout, index));
    width += layout.columns[index].width + kGap;
  }
  const std::string rule = repeat("─", width) + "\n";
  std::string text = rule + side_by_side(header, true, layout.style) + rule;
  for (const auto& row : layout.table.rows) {
    std::vector<Block> blocks;
    for (size_t index : indices) blocks.push_back(cell_block(layout, row, index));
    text += side_by_side(blocks, false, layout.style);
  }
  return text + rule;
}

}  // namespace

std::string render_text(const Table& table, const TextStyle& style) {
  std::string text;
  for (const std::string& line : wrap(table.title, style.width)) text += strong(line, style) + "\n";
  if (!table.introduction.empty()) text += paragraph(table.introduction, style.width);
  if (table.columns.empty()) return text;
  Layout layout{table, style, cell_notes(table), {}};
  for (size_t i = 0; i < table.columns.size(); ++i) layout.columns.push_back(measure(layout, i));
  narrow(layout.columns, style.width);
  tighten(layout);
  for (const auto& part : parts(layout.columns, style.width)) text += part_text(layout, part);
  for (size_t i = 0; i < layout.notes.size(); ++i) {
    text += paragraph(layout.notes[i], style.width, note_mark(i) + " ");
  }
  for (const std::string& footnote : table.footnotes) text += paragraph(footnote, style.width);
  return text;
}

std::string render_text(const Report& report, const TextStyle& style) {
  std::string text = report.title.empty() ? "" : strong(report.title, style) + "\n";
  for (const std::string& line : report.summary) text += paragraph(line, style.width);
  for (const Table& table : report.tables) {
    if (!text.empty()) text += '\n';
    text += render_text(table, style);
  }
  const auto heading = [&](const std::string& title) {
    text.append("\n").append(strong(title, style)).append("\n");
  };
  for (const Picture& picture : report.pictures) {
    heading(fmt::format("{} ({})", picture.heading(), picture.file.string()));
    text += paragraph(picture.caption, style.width);
    for (size_t row = 0; row < picture.row_labels.size(); ++row) {
      text += paragraph(picture.row_labels[row], style.width, fmt::format("  row {}: ", row + 1));
    }
  }
  const auto list = [&](const std::string& title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    heading(title);
    for (const std::string& line : lines) text += paragraph(line, style.width, "- ");
  };
  list("Points", report.coverage);
  list("Problems", report.problems);
  return text;
}

}  // namespace tarflow::analysis
