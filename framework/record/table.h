// /points and /columns: rows of named cells as one compound dataset, which pandas reads as a table.
#pragma once

#include <hdf5.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/record/record.h"

namespace tarflow::record {

using ColumnList = std::shared_ptr<const std::vector<Column>>;

// Rows as a file holds them: some hundred bytes a row, where a Row takes some thousand.
struct PackedRows {
  // Where the value of one column lies in a row.
  struct Member {
    size_t offset = 0;
    size_t width = 0;  // bytes of the value
    size_t flag = 0;   // of an int64: where the byte lies that says whether there is a value
  };

  ColumnList columns;
  std::vector<Member> members;  // one a column
  size_t row_bytes = 0;
  size_t count = 0;
  std::vector<char> bytes;  // count rows
};

Row unpacked(const PackedRows& rows, size_t index);
// The text of one cell, "" where it is absent. Throws Error if there is no such column of texts.
std::string text_at(const PackedRows& rows, const std::string& column, size_t index);

// Lists of columns by the bytes they were read from: files of one experiment share theirs.
using KnownColumns = std::map<std::string, ColumnList>;

// Calls its argument with each row, in the order of the file.
using EachRow = std::function<void(const std::function<void(const Row&)>&)>;

// Writes /columns and /points. `columns` sorted by name; every cell of the rows has its column and
// type. `each_row` is called twice, so that no more than one Row need be in memory.
void write_table(hid_t file, const std::vector<Column>& columns, const EachRow& each_row);
void write_table(hid_t file, const std::vector<Column>& columns, const std::vector<Row>& rows);

ColumnList read_columns(hid_t file, KnownColumns& known);
PackedRows read_packed(hid_t file, const ColumnList& columns);
std::vector<Row> unpacked(const PackedRows& rows);

// Throws Error when a row lacks `point`, or a cell has no column or another type than its column.
void check_table(const std::vector<Column>& columns, const std::vector<Row>& rows);

// Columns of all lists by name, sorted. Where two disagree on the type, float64 wins over int64 and
// text over both; a column is timing when any says so; words are the first one's.
std::vector<Column> united_columns(const std::vector<std::vector<Column>>& lists);
// The cell as its column's type holds it.
Cell converted(const Cell& cell, ColumnType type);

}  // namespace tarflow::record
