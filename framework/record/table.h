// /points and /columns: rows of named cells as one compound dataset, which pandas reads as a table.
#pragma once

#include <hdf5.h>

#include <vector>

#include "framework/record/record.h"

namespace tarflow::record {

// Writes /columns and /points. `columns` sorted by name; every cell of `rows` has its column and
// type.
void write_table(hid_t file, const std::vector<Column>& columns, const std::vector<Row>& rows);

std::vector<Column> read_columns(hid_t file);
std::vector<Row> read_points(hid_t file, const std::vector<Column>& columns);

// Throws Error when a row lacks `point`, or a cell has no column or another type than its column.
void check_table(const std::vector<Column>& columns, const std::vector<Row>& rows);

// Columns of all lists by name, sorted. Where two disagree on the type, float64 wins over int64 and
// text over both; a column is timing when any says so; words are the first one's.
std::vector<Column> united_columns(const std::vector<std::vector<Column>>& lists);
// The cell as its column's type holds it.
Cell converted(const Cell& cell, ColumnType type);

}  // namespace tarflow::record
