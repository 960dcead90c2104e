#include "analysis/show/html.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <set>
#include <vector>

namespace tarflow::analysis {
namespace {

constexpr size_t kShortRows = 20;  // of a table that is printed on one sheet

// "For", leading to its first origin, and numbers that lead to the others.
std::string linked(const std::string& text, const Cell& cell, const Anchors& anchors) {
  std::vector<std::string> targets;
  std::set<std::string> seen;
  for (const std::string& origin : cell.origins) {
    const auto found = anchors.find(origin);
    if (found != anchors.end() && seen.insert(found->second).second)
      targets.push_back(found->second);
  }
  if (targets.empty()) return text;
  std::string result = fmt::format("<a href=#{}>{}</a>", targets.front(), text);
  for (size_t i = 1; i < targets.size(); ++i) {
    result += fmt::format(" <a class=m href=#{} aria-label=\"measurement {}\">{}</a>", targets[i],
                          i + 1, i + 1);
  }
  return result;
}

// End tags that HTML lets out are left out: a page may have many thousand cells.
std::string cell_html(const Cell& cell, const TableColumn& column, bool heading,
                      const std::vector<std::string>& notes, const Anchors& anchors) {
  std::string text = escape_html(cell.text);
  if (cell.bold) text = "<b>" + text + "</b>";
  text = linked(text, cell, anchors);
  if (const std::string mark = note_mark(cell, notes); !mark.empty()) text += mark;
  std::string classes;
  if (column.align == Align::kLeft) classes = "l";
  if (cell.published) classes += classes.empty() ? "pub" : " pub";
  const std::string attribute = classes.empty() ? ""
                                : classes.find(' ') != std::string::npos
                                    ? " class=\"" + classes + "\""
                                    : " class=" + classes;
  return heading ? fmt::format("<th scope=row{}>{}", attribute, text)
                 : fmt::format("<td{}>{}", attribute, text);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        // Control characters are not allowed in HTML and show nothing.
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') result += c;
    }
  }
  return result;
}

std::string base64(std::string_view bytes) {
  constexpr size_t kPart = size_t{3} << 20;  // whole threes; the library counts in int
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // it ends its text with a zero byte
  for (size_t at = 0; at < bytes.size(); at += kPart) {
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()) + at / 3 * 4,
                    reinterpret_cast<const unsigned char*>(bytes.data()) + at,
                    static_cast<int>(std::min(kPart, bytes.size() - at)));
  }
  text.pop_back();
  return text;
}

std::string render_html(const Table& table, const std::string& id, const Anchors& anchors) {
  std::string text = fmt::format("<h3 id={}>{}</h3>\n", id, escape_html(table.title));
  if (table.columns.empty()) return text + "<p>" + escape_html(table.introduction) + "</p>\n";
  const std::vector<std::string> notes = cell_notes(table);
  if (!table.introduction.empty())
    text += "<p class=notes>" + escape_html(table.introduction) + "</p>\n";
  text += fmt::format(
      "<div class=more><div class=\"scroll{}\" role=region tabindex=0 aria-labelledby={}><table>"
      "<caption>{}</caption>",
      table.rows.size() <= kShortRows ? " short" : "", id, escape_html(table.title));
  text += "\n<thead><tr>";
  for (const TableColumn& column : table.columns) {
    text += fmt::format("<th scope=col{}>{}", column.align == Align::kLeft ? " class=l" : "",
                        escape_html(column.title));
  }
  text += "</thead>\n<tbody>";
  for (const auto& row : table.rows) {
    text += "\n<tr>";
    for (size_t i = 0; i < row.size(); ++i)
      text += cell_html(row[i], table.columns[i], i == 0, notes, anchors);
  }
  text += "\n</tbody></table></div></div>\n";
  if (notes.empty() && table.footnotes.empty()) return text;
  text += "<div class=notes>";
  for (size_t i = 0; i < notes.size(); ++i)
    text += fmt::format("<p>{} {}</p>", note_mark(i), escape_html(notes[i]));
  for (const std::string& footnote : table.footnotes)
    text += fmt::format("<p>{}</p>", escape_html(footnote));
  return text + "</div>\n";
}

}  // namespace tarflow::analysis
