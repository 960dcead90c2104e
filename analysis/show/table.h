// Tables and reports as plain values; text.h, markdown.h, latex.h and csv.h render them. A new
// table is one file that returns a Table.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/show/plot.h"

namespace tarflow::analysis {

struct Cell {
  std::string text;
  bool bold = false;
  std::string note = {};  // footnote of this cell; equal notes share one marker
  // The number that `text` shows, and its standard error, with all digits: for CSV and for sorting.
  std::optional<double> value = {}, error = {};
  bool published = false;                 // by others; not measured here
  std::vector<std::string> origins = {};  // Point::origin() of the points it tells of
};

enum class Align { kLeft, kRight };

struct TableColumn {
  std::string title;
  Align align = Align::kRight;
};

struct Table {
  std::string title;
  std::string introduction;  // one paragraph above the table; may be empty
  std::vector<TableColumn> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as `columns`
  std::vector<std::string> footnotes;   // about the whole table, after the notes of its cells
  std::string section = {};             // "Speed-up": tables of one section stand together
};

// The tables made from some points, and what became of each point.
struct TableSet {
  std::vector<Table> tables;
  size_t shown = 0;                   // points in the tables
  std::vector<std::string> left_out;  // one line a point that is in none, with the reason
};

struct Picture {
  std::filesystem::path file;  // relative to the report
  std::string caption;
  std::vector<std::string> row_labels;  // from top to bottom
  std::string title = {};               // heading above it; the file's name where it is empty
  bool folded = false;                  // on the page only its heading is seen until it is opened

  std::string heading() const { return title.empty() ? file.stem().string() : title; }
};

// What a report says, short enough for one screen.
struct Answer {
  std::string what;                   // "20 points of evaluate, 1 of igm_crm"
  std::vector<std::string> findings;  // in plain words, one paragraph each
  std::vector<Table> tables;          // the strategies at the best setting; empty where none ran
  // What is not valid or not there, and why; after a line break, what to do about it.
  std::vector<std::string> not_valid;
};

struct Report {
  std::string title;
  std::vector<std::string> summary;  // what was read, one line each
  std::vector<Table> tables;
  std::vector<Picture> pictures;
  std::vector<std::string> coverage;  // what is shown, what is left out and why; one line each
  std::vector<std::string> problems;  // what could not be read or written
  std::vector<Plot> plots = {};       // as they were written; drawn where gnuplot is installed
  Answer answer = {};
};

inline constexpr const char* kNoValue = "—";

// Whether title or introduction hold one of the alternatives that " | " parts; "" is held by all.
bool holds_words(const Table& table, std::string_view words);

// The tables that `words` ask for, whatever their case: for each alternative those whose section or
// title has it, else those whose introduction has it.
std::vector<Table> tables_with(const std::vector<Table>& tables, std::string_view words);
// Those of the alternatives that ask for no table.
std::vector<std::string> words_without_table(const std::vector<Table>& tables,
                                             std::string_view words);
// Each section with the titles of its tables, a line each: what `words` may ask for.
std::string table_titles(const std::vector<Table>& tables);

// The distinct notes of a table's cells, in reading order.
std::vector<std::string> cell_notes(const Table& table);
// The mark of the index-th note (from 0): "ᵃ", "ᵇ", ... "ᵃᵃ"; superscript letters, as digits could
// be read as exponents.
std::string note_mark(size_t index);
// The mark of the cell's note, "" when it has none.
std::string note_mark(const Cell& cell, const std::vector<std::string>& notes);

}  // namespace tarflow::analysis
