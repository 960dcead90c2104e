#include "analysis/tables/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace tarflow::analysis {
namespace {

std::string number_text(double value) {
  if (std::isfinite(value)) return fmt::format("{}", value);
  return std::isnan(value) ? "" : value > 0 ? "inf" : "-inf";
}

std::string line_of(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? "," : "") + csv_field(fields[i]);
  return line + "\n";
}

std::string text_of(const Cell& cell) {
  if (cell.value) return number_text(*cell.value);
  return cell.text == kNoValue ? "" : cell.text;
}

bool any_cell(const Table& table, const std::function<bool(const Cell&)>& holds) {
  return std::any_of(table.rows.begin(), table.rows.end(),
                     [&](const auto& row) { return std::any_of(row.begin(), row.end(), holds); });
}

// A column that tells of cells by the titles of their columns.
struct Remark {
  const char* title;
  std::function<bool(const Cell&)> holds;
  bool with_note = false;
};

std::string remark_of(const Remark& remark, const Table& table, const std::vector<Cell>& row) {
  std::string text;
  for (size_t i = 0; i < row.size(); ++i) {
    if (!remark.holds(row[i])) continue;
    text += (text.empty() ? "" : "; ") + table.columns[i].title;
    if (remark.with_note) text += ": " + row[i].note;
  }
  return text;
}

std::string cell_text(const record::Cell& cell) {
  if (const std::string* text = std::get_if<std::string>(&cell)) return *text;
  if (const int64_t* whole = std::get_if<int64_t>(&cell)) return fmt::format("{}", *whole);
  return number_text(std::get<double>(cell));
}

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string render_csv(const Table& table) {
  std::vector<Remark> remarks = {
      {"bold", [](const Cell& cell) { return cell.bold; }},
      {"published", [](const Cell& cell) { return cell.published; }},
      {"notes", [](const Cell& cell) { return !cell.note.empty(); }, true}};
  std::erase_if(remarks, [&](const Remark& remark) { return !any_cell(table, remark.holds); });
  std::vector<std::string> titles;
  std::vector<bool> with_error;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    titles.push_back(table.columns[i].title);
    with_error.push_back(std::any_of(table.rows.begin(), table.rows.end(),
                                     [&](const auto& row) { return row[i].error.has_value(); }));
    if (with_error.back()) titles.push_back(titles.back() + " error");
  }
  for (const Remark& remark : remarks) titles.push_back(remark.title);
  std::string text = line_of(titles);
  for (const auto& row : table.rows) {
    std::vector<std::string> fields;
    for (size_t i = 0; i < row.size(); ++i) {
      fields.push_back(text_of(row[i]));
      if (with_error[i]) fields.push_back(row[i].error ? number_text(*row[i].error) : "");
    }
    for (const Remark& remark : remarks) fields.push_back(remark_of(remark, table, row));
    text += line_of(fields);
  }
  return text;
}

std::string render_csv(const Report& report) {
  std::vector<const Table*> tables;
  for (const Table& table : report.tables) {
    if (!table.columns.empty()) tables.push_back(&table);
  }
  std::string text;
  for (const Table* table : tables) {
    if (!text.empty()) text += "\n";
    if (tables.size() > 1) text += line_of({table->title});
    text += render_csv(*table);
  }
  return text;
}

void write_points_csv(const std::vector<Source>& sources, const std::vector<Point>& points,
                      std::ostream& out) {
  std::vector<std::string> names = {"point", "job", "experiment"};
  const size_t first = names.size();
  std::set<std::string> others;
  for (const Source& source : sources) {
    for (const Column& column : source.sweep.columns) others.insert(column.name);
  }
  for (const std::string& name : names) others.erase(name);
  names.insert(names.end(), others.begin(), others.end());
  out << "file," << line_of(names);
  for (const Point& point : points) {
    out << csv_field(point.source ? point.source->file.string() : "");
    auto cell = point.row->begin();  // sorted by name, as are the names from `first` on
    for (size_t i = 0; i < names.size(); ++i) {
      out << ',';
      if (i < first) {
        out << csv_field(point.text(names[i]));
        continue;
      }
      while (cell != point.row->end() && cell->first < names[i]) ++cell;
      if (cell != point.row->end() && cell->first == names[i])
        out << csv_field(cell_text(cell->second));
    }
    out << '\n';
  }
}

}  // namespace tarflow::analysis
