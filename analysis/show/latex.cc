#include "analysis/show/latex.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>
#include <string_view>
#include <utility>

#include "analysis/show/width.h"

namespace tarflow::analysis {
namespace {

constexpr double kColumnPoints =
    335;  // \textwidth of an article of 10 pt, 345, less what the widths are off by
constexpr double kCharacterPoints = 5;  // of a digit at 10 pt
constexpr int kLongestLine = 40;        // characters of a cell that is not broken
constexpr size_t kRowsOfAPage = 40;
// Of the line, by columns of long texts.
constexpr double kLeastOfTexts = 0.25, kMostOfTexts = 0.65;

struct Size {
  const char* command;
  double scale;       // of a digit against 10 pt; fonts of fewer points are wider for their height
  double separation;  // \tabcolsep in pt
};
constexpr std::array<Size, 4> kSizes = {{{"\\normalsize", 1, 6},
                                         {"\\small", 0.93, 4},
                                         {"\\footnotesize", 0.85, 3},
                                         {"\\scriptsize", 0.8, 2}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 41> kReplacements = {{
    {"\\", "\\textbackslash{}"},
    {"{", "\\{"},
    {"}", "\\}"},
    {"$", "\\$"},
    {"&", "\\&"},
    {"#", "\\#"},
    {"%", "\\%"},
    {"_", "\\_"},
    {"^", "\\textasciicircum{}"},
    {"~", "\\textasciitilde{}"},
    {"<", "$<$"},
    {">", "$>$"},
    {"|", "$|$"},
    {"\"", "''"},
    {"[", "{[}"},    // would be the argument of the \\ before
    {"*", "{*}"},    // likewise
    {"--", "-{}-"},  // no dash
    {"\n", " "},
    {"—", "---"},
    {"–", "--"},
    {"−", "$-$"},
    {"±", "$\\pm$"},
    {"×", "$\\times$"},
    {"·", "$\\cdot$"},
    {"²", "$^2$"},
    {"π", "$\\pi$"},
    {"√", "$\\surd$"},
    {"‖", "$\\|$"},
    {"≤", "$\\le$"},
    {"≥", "$\\ge$"},
    {"→", "$\\to$"},
    {"∞", "$\\infty$"},
    {"Σ", "$\\Sigma$"},
    {"μ", "$\\mu$"},
    {"ε", "$\\varepsilon$"},
    {"λ", "$\\lambda$"},
    {"σ", "$\\sigma$"},
    {"…", "\\dots{}"},
    {"’", "'"},
    {"“", "``"},
    {"”", "''"},
}};

// The longest sign that stands at the beginning of `text`; nullptr when it is shown as it is.
const std::pair<std::string_view, std::string_view>* replacement_of(std::string_view text) {
  if (std::isalnum(static_cast<unsigned char>(text.front())) || text.front() == ' ') return nullptr;
  const std::pair<std::string_view, std::string_view>* best = nullptr;
  for (const auto& entry : kReplacements) {
    if (text.starts_with(entry.first) && (!best || entry.first.size() > best->first.size()))
      best = &entry;
  }
  return best;
}

// The mark of the index-th note: "a", ..., "z", "aa".
std::string mark_letters(size_t index) {
  const std::string letter(1, static_cast<char>('a' + index % 26));
  return index < 26 ? letter : mark_letters(index / 26 - 1) + letter;
}

std::string mark(const std::string& note, const std::vector<std::string>& notes) {
  const auto found = std::find(notes.begin(), notes.end(), note);
  if (note.empty() || found == notes.end()) return "";
  return fmt::format("\\textsuperscript{{{}}}",
                     mark_letters(static_cast<size_t>(found - notes.begin())));
}

std::string cell_text(const Cell& cell, const std::vector<std::string>& notes) {
  static const std::regex kNumber("(-?)([0-9.]+)(?:e([+-]?)0*([0-9]+))?");
  std::string text;
  std::smatch number;
  const bool may_be = cell.text.starts_with('-') || cell.text.find('e') != std::string::npos;
  if (may_be && std::regex_match(cell.text, number, kNumber) &&
      (number[1].length() || number[4].matched)) {
    text = "$" + number[1].str() + number[2].str();
    if (number[4].matched) {
      text += fmt::format("\\cdot10^{{{}{}}}", number[3].str() == "-" ? "-" : "", number[4].str());
    }
    text += "$";
    if (cell.bold) text = "\\boldmath" + text;
  } else {
    text = latex_text(cell.text);
  }
  if (cell.published) text = "\\textit{" + text + "}";
  if (cell.bold) text = "\\textbf{" + text + "}";
  return text + mark(cell.note, notes);
}

struct Column {
  int width = 0;      // characters
  bool text = false;  // broken into lines
  std::string heading;
};

// Lines of a heading, which may also be broken after an underscore: names of settings are long.
std::vector<std::string> heading_lines(const std::string& title, int width) {
  static const std::regex kUnderscore("_(?!\\s|$)"), kBroken("_ ");
  const std::string breakable = std::regex_replace(title, kUnderscore, "_ ");
  std::vector<std::string> lines = wrap(breakable, std::max(width, longest_word(breakable)));
  for (std::string& line : lines) line = std::regex_replace(line, kBroken, "_");
  return lines;
}

std::vector<Column> columns_of(const Table& table) {
  std::vector<Column> columns;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    Column column;
    for (const auto& row : table.rows)
      column.width = std::max(column.width, display_width(row[i].text));
    column.text = table.columns[i].align == Align::kLeft && column.width > kLongestLine;
    const auto lines = heading_lines(table.columns[i].title, column.width);
    for (const std::string& line : lines) {
      column.heading += (column.heading.empty() ? "" : "\\\\") + latex_text(line);
      column.width = std::max(column.width, display_width(line));
    }
    if (lines.size() > 1) {
      column.heading =
          fmt::format("\\shortstack[{}]{{{}}}", table.columns[i].align == Align::kLeft ? "l" : "r",
                      column.heading);
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

double text_columns(const std::vector<Column>& columns) {
  return static_cast<double>(
      std::count_if(columns.begin(), columns.end(), [](const Column& c) { return c.text; }));
}

// What the columns without long texts take.
double points_of(const Size& size, const std::vector<Column>& columns) {
  double points = 2 * size.separation * static_cast<double>(columns.size() - 1);
  for (const Column& column : columns) {
    if (!column.text) points += kCharacterPoints * size.scale * column.width;
  }
  return points;
}

// The part of the line that columns of long texts have.
double share_of_texts(const Size& size, const std::vector<Column>& columns) {
  return std::clamp(1 - points_of(size, columns) / kColumnPoints, kLeastOfTexts, kMostOfTexts);
}

bool fits(const Size& size, const std::vector<Column>& columns) {
  const double texts = text_columns(columns) > 0 ? kLeastOfTexts : 0;
  return points_of(size, columns) + texts * kColumnPoints <= kColumnPoints;
}

// The largest text that fits; the smallest where none does.
const Size& size_for(const std::vector<Column>& columns) {
  for (const Size& size : kSizes) {
    if (fits(size, columns)) return size;
  }
  return kSizes.back();
}

std::string specification(const Table& table, const Size& size,
                          const std::vector<Column>& columns) {
  const double share = share_of_texts(size, columns) / std::max(1.0, text_columns(columns));
  std::string text = "@{}";
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].text) {
      text += fmt::format(">{{\\raggedright\\arraybackslash}}p{{{:.2f}\\linewidth}}", share);
    } else {
      text += table.columns[i].align == Align::kLeft ? "l" : "r";
    }
  }
  return text + "@{}";
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) line += (i > 0 ? " & " : "") + cells[i];
  return line + " \\\\\n";
}

std::string notes_below(const Table& table, const std::vector<std::string>& notes) {
  std::string text;
  for (size_t i = 0; i < notes.size(); ++i)
    text += fmt::format("\\textsuperscript{{{}}} {}\\par\n", mark_letters(i), latex_text(notes[i]));
  for (const std::string& footnote : table.footnotes) text += latex_text(footnote) + "\\par\n";
  if (text.empty()) return "";
  return "\\par\\smallskip\n{\\footnotesize\\raggedright\n" + text + "}\n";
}

struct Layout {
  std::string style, head, specification, below;
  bool scaled = false;  // to the width of the text, which even the smallest letters exceed
};

std::string joined(const std::vector<std::string>& rows) {
  std::string text;
  for (const std::string& row : rows) text += row;
  return text;
}

std::string floating(const Layout& layout, const std::string& caption,
                     const std::vector<std::string>& rows) {
  const std::string tabular =
      fmt::format("\\begin{{tabular}}{{{}}}\n{}{}\\bottomrule\n\\end{{tabular}}",
                  layout.specification, layout.head, joined(rows));
  return fmt::format(
      "\\begin{{table}}[htbp]\n\\centering\n\\caption{{{}}}\n{}{}\n{}\\end{{table}}\n", caption,
      layout.style, layout.scaled ? "\\resizebox{\\linewidth}{!}{%\n" + tabular + "}" : tabular,
      layout.below);
}

std::string over_pages(const Layout& layout, const std::string& caption,
                       const std::vector<std::string>& rows) {
  return fmt::format(
      "\\begingroup\n{}\\begin{{longtable}}{{{}}}\n\\caption{{{}}}\\\\\n{}\\endfirsthead\n"
      "{}\\endhead\n\\bottomrule\n\\endfoot\n{}\\end{{longtable}}\n{}\\endgroup\n",
      layout.style, layout.specification, caption, layout.head, layout.head, joined(rows),
      layout.below);
}

}  // namespace

std::string latex_text(const std::string& text) {
  std::string result;
  for (std::string_view rest = text; !rest.empty();) {
    const auto* replacement = replacement_of(rest);
    result += replacement ? replacement->second : rest.substr(0, 1);
    rest.remove_prefix(replacement ? replacement->first.size() : 1);
  }
  return result;
}

std::string render_latex(const Table& table) {
  const std::vector<std::string> notes = cell_notes(table);
  std::string caption = latex_text(table.title);
  if (!table.introduction.empty()) caption += ". " + latex_text(table.introduction);
  if (table.columns.empty()) return caption + "\\par\n";
  const std::vector<Column> columns = columns_of(table);
  const Size& size = size_for(columns);
  std::vector<std::string> headings, rows;
  for (const Column& column : columns) headings.push_back(column.heading);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const Cell& cell : row) cells.push_back(cell_text(cell, notes));
    rows.push_back(line_of(cells));
  }
  const Layout layout{
      .style = fmt::format("{}\\setlength{{\\tabcolsep}}{{{}pt}}\n", size.command, size.separation),
      .head = "\\toprule\n" + line_of(headings) + "\\midrule\n",
      .specification = specification(table, size, columns),
      .below = notes_below(table, notes),
      .scaled = !fits(size, columns)};
  if (rows.size() <= kRowsOfAPage) return floating(layout, caption, rows);
  if (!layout.scaled) return over_pages(layout, caption, rows);
  // A longtable cannot be scaled, so a wide one becomes a float a page.
  std::string text;
  for (auto row = rows.begin(); row != rows.end();) {
    const auto end = row + std::min<ptrdiff_t>(kRowsOfAPage, rows.end() - row);
    text += floating(layout, caption + (row == rows.begin() ? "" : " (continued)"), {row, end});
    row = end;
  }
  return text;
}

std::string render_latex(const Report& report) {
  std::string text = fmt::format("% {}\n", kLatexPackages);
  for (const Table& table : report.tables) {
    if (!table.columns.empty()) text += "\n" + render_latex(table);
  }
  return text;
}

}  // namespace tarflow::analysis
