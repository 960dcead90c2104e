#include "framework/record/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "framework/record/hdf5.h"

namespace tarflow::record {
namespace {

constexpr const char* kPoints = "points";
constexpr const char* kColumns = "columns";
constexpr const char* kFlagPrefix = "has_";

using Member = PackedRows::Member;

void append(PackedRows& layout, ColumnType type, size_t text_width) {
  const size_t width = type == ColumnType::kString ? std::max<size_t>(text_width, 1) : 8;
  layout.members.push_back({layout.row_bytes, width, layout.row_bytes + width});
  layout.row_bytes += width + (type == ColumnType::kInt64 ? 1 : 0);
}

// As narrow as the texts allow, and the number of rows; no bytes yet.
PackedRows layout_for(const std::vector<Column>& columns, const EachRow& each_row) {
  PackedRows layout;
  std::map<std::string, size_t> widths;
  each_row([&](const Row& row) {
    ++layout.count;
    for (const auto& [name, cell] : row) {
      const std::string* text = std::get_if<std::string>(&cell);
      if (text) widths[name] = std::max(widths[name], text->size());
    }
  });
  layout.columns = std::make_shared<const std::vector<Column>>(columns);
  for (const Column& column : columns) append(layout, column.type, widths[column.name]);
  return layout;
}

// The compound type of a row. Values are little-endian in files, and so are all machines this runs
// on.
Handle compound_type(const PackedRows& layout) {
  const std::string what = "cannot make the type of a table's row";
  Handle type = own(H5Tcreate(H5T_COMPOUND, layout.row_bytes), H5Tclose, what);
  for (size_t i = 0; i < layout.members.size(); ++i) {
    const auto& [name, column_type, unit, meaning, timing] = layout.columns->at(i);
    const Member& member = layout.members[i];
    if (column_type == ColumnType::kString) {
      check(H5Tinsert(type, name.c_str(), member.offset, text_type(member.width)), what);
    } else if (column_type == ColumnType::kFloat64) {
      check(H5Tinsert(type, name.c_str(), member.offset, H5T_IEEE_F64LE), what);
    } else {
      check(H5Tinsert(type, name.c_str(), member.offset, H5T_STD_I64LE), what);
      check(H5Tinsert(type, (kFlagPrefix + name).c_str(), member.flag, H5T_STD_U8LE), what);
    }
  }
  return type;
}

void pack(const PackedRows& layout, const Row& row, char* at) {
  for (size_t i = 0; i < layout.members.size(); ++i) {
    const Column& column = (*layout.columns)[i];
    const Member& member = layout.members[i];
    const auto cell = row.find(column.name);
    const bool has = cell != row.end();
    char* to = at + member.offset;
    if (column.type == ColumnType::kFloat64) {
      // One NaN for all that are absent, so that equal tables are equal bytes.
      double value = has ? std::get<double>(cell->second) : 0;
      if (!has || std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
      std::memcpy(to, &value, sizeof value);
    } else if (has && column.type == ColumnType::kInt64) {
      std::memcpy(to, &std::get<int64_t>(cell->second), 8);
      at[member.flag] = 1;
    } else if (has) {
      const std::string& text = std::get<std::string>(cell->second);
      std::memcpy(to, text.data(), text.size());
    }
  }
}

void write_dataset(hid_t file, const char* name, const std::vector<Column>& columns,
                   const EachRow& each_row, const std::string& meaning) {
  const std::string what = fmt::format("cannot write the table `{}`", name);
  PackedRows rows = layout_for(columns, each_row);
  const Handle type = compound_type(rows);
  const Handle properties = timeless(H5P_DATASET_CREATE);
  const Handle dataset =
      own(H5Dcreate2(file, name, type, data_space({static_cast<int64_t>(rows.count)}), H5P_DEFAULT,
                     properties, H5P_DEFAULT),
          H5Dclose, what);
  if (rows.count > 0) {
    rows.bytes.resize(rows.row_bytes * rows.count);
    char* at = rows.bytes.data();
    each_row([&](const Row& row) {
      pack(rows, row, at);
      at += rows.row_bytes;
    });
    check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.bytes.data()), what);
  }
  write_attribute(dataset, "unit", "");
  write_attribute(dataset, "meaning", meaning);
}

// The place of the member called `name` in rows of type `stored`, which has to be as it is written.
size_t offset_of(hid_t stored, const std::string& name, hid_t expected, const std::string& what) {
  const int index = H5Tget_member_index(stored, name.c_str());
  check(index, what);
  const Handle type = own(H5Tget_member_type(stored, static_cast<unsigned>(index)), H5Tclose, what);
  if (H5Tequal(type, expected) <= 0) throw Error(what + ": its type is not a record's");
  return H5Tget_member_offset(stored, static_cast<unsigned>(index));
}

Member member_of(hid_t stored, const Column& column, const std::string& what) {
  if (column.type == ColumnType::kFloat64) {
    return {offset_of(stored, column.name, H5T_IEEE_F64LE, what), 8, 0};
  }
  if (column.type == ColumnType::kInt64) {
    return {offset_of(stored, column.name, H5T_STD_I64LE, what), 8,
            offset_of(stored, kFlagPrefix + column.name, H5T_STD_U8LE, what)};
  }
  const int index = H5Tget_member_index(stored, column.name.c_str());
  check(index, what);
  const unsigned member = static_cast<unsigned>(index);
  const Handle type = own(H5Tget_member_type(stored, member), H5Tclose, what);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0) {
    throw Error(what + ": its type is not a record's");
  }
  return {H5Tget_member_offset(stored, member), H5Tget_size(type), 0};
}

// Read in the type they are stored in, so that HDF5 converts nothing.
PackedRows read_dataset(hid_t file, const char* name, const ColumnList& columns) {
  const std::string what = fmt::format("cannot read the table `{}`", name);
  const Handle dataset = own(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose, what);
  const Handle stored = own(H5Dget_type(dataset), H5Tclose, what);
  const std::vector<int64_t> shape = shape_of(dataset);
  if (H5Tget_class(stored) != H5T_COMPOUND || shape.size() != 1) throw Error(what);
  PackedRows rows;
  rows.columns = columns;
  rows.row_bytes = H5Tget_size(stored);
  rows.count = static_cast<size_t>(shape[0]);
  for (const Column& column : *columns) {
    rows.members.push_back(member_of(
        stored, column, fmt::format("the table `{}` lacks the column `{}`", name, column.name)));
  }
  // A file may claim far more than it holds; what is not stored is not worth reading.
  if (rows.count > H5Dget_storage_size(dataset) / std::max<size_t>(rows.row_bytes, 1)) {
    throw Error(what + ": it claims more rows than it holds");
  }
  rows.bytes.resize(rows.row_bytes * rows.count);
  if (rows.count > 0) {
    check(H5Dread(dataset, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.bytes.data()), what);
  }
  return rows;
}

const char* type_name(ColumnType type) {
  switch (type) {
    case ColumnType::kFloat64:
      return "float64";
    case ColumnType::kInt64:
      return "int64";
    case ColumnType::kString:
      break;
  }
  return "string";
}

ColumnType type_of(const std::string& name) {
  for (const ColumnType type : {ColumnType::kFloat64, ColumnType::kInt64, ColumnType::kString}) {
    if (name == type_name(type)) return type;
  }
  throw Error(fmt::format("a column has the unknown type `{}`", name));
}

ColumnType type_of(const Cell& cell) {
  if (std::holds_alternative<double>(cell)) return ColumnType::kFloat64;
  return std::holds_alternative<int64_t>(cell) ? ColumnType::kInt64 : ColumnType::kString;
}

// The table of columns, described by columns itself.
ColumnList columns_of_columns() {
  return std::make_shared<const std::vector<Column>>(
      std::vector<Column>{{"meaning", ColumnType::kString, "", "", false},
                          {"name", ColumnType::kString, "", "", false},
                          {"timing", ColumnType::kInt64, "", "", false},
                          {"type", ColumnType::kString, "", "", false},
                          {"unit", ColumnType::kString, "", "", false}});
}

std::string text_cell(const Row& row, const std::string& name) {
  const auto cell = row.find(name);
  return cell == row.end() ? "" : std::get<std::string>(cell->second);
}

// int64 fits into float64, and both into text.
int rank(ColumnType type) {
  return type == ColumnType::kString ? 2 : type == ColumnType::kFloat64 ? 1 : 0;
}

}  // namespace

Row unpacked(const PackedRows& rows, size_t index) {
  const char* at = rows.bytes.data() + index * rows.row_bytes;
  Row row;
  for (size_t i = 0; i < rows.members.size(); ++i) {
    const Column& column = (*rows.columns)[i];
    const Member& member = rows.members[i];
    const char* from = at + member.offset;
    if (column.type == ColumnType::kFloat64) {
      double value = 0;
      std::memcpy(&value, from, sizeof value);
      if (!std::isnan(value)) row[column.name] = value;
    } else if (column.type == ColumnType::kInt64) {
      int64_t value = 0;
      std::memcpy(&value, from, sizeof value);
      if (at[member.flag]) row[column.name] = value;
    } else if (std::string text = unpadded(from, member.width); !text.empty()) {
      row[column.name] = std::move(text);
    }
  }
  return row;
}

std::string text_at(const PackedRows& rows, const std::string& column, size_t index) {
  for (size_t i = 0; i < rows.members.size(); ++i) {
    const Column& known = (*rows.columns)[i];
    if (known.name != column || known.type != ColumnType::kString) continue;
    return unpadded(rows.bytes.data() + index * rows.row_bytes + rows.members[i].offset,
                    rows.members[i].width);
  }
  throw Error(fmt::format("a row has no `{}`", column));
}

std::vector<Row> unpacked(const PackedRows& rows) {
  std::vector<Row> unpacked_rows;
  for (size_t i = 0; i < rows.count; ++i) unpacked_rows.push_back(unpacked(rows, i));
  return unpacked_rows;
}

void write_table(hid_t file, const std::vector<Column>& columns, const EachRow& each_row) {
  const auto each_column = [&](const std::function<void(const Row&)>& take) {
    for (const Column& column : columns) {
      take({{"name", column.name},
            {"type", std::string(type_name(column.type))},
            {"unit", column.unit},
            {"meaning", column.description},
            {"timing", int64_t{column.timing}}});
    }
  };
  write_dataset(file, kColumns, *columns_of_columns(), each_column,
                "what each column of /points means, its unit, and whether it is a time");
  write_dataset(
      file, kPoints, columns, each_row,
      "one row a point; units and meanings of the columns are in /columns; absent values are "
      "NaN, has_<name> = 0 or \"\"");
}

void write_table(hid_t file, const std::vector<Column>& columns, const std::vector<Row>& rows) {
  write_table(file, columns, [&](const std::function<void(const Row&)>& take) {
    for (const Row& row : rows) take(row);
  });
}

ColumnList read_columns(hid_t file, KnownColumns& known) {
  const PackedRows packed = read_dataset(file, kColumns, columns_of_columns());
  std::string key(packed.bytes.begin(), packed.bytes.end());
  for (const Member& member : packed.members) {
    key += fmt::format(" {} {}", member.offset, member.width);
  }
  ColumnList& list = known[key];
  if (list) return list;
  std::vector<Column> columns;
  for (const Row& row : unpacked(packed)) {
    const auto timing = row.find("timing");
    columns.push_back({text_cell(row, "name"), type_of(text_cell(row, "type")),
                       text_cell(row, "unit"), text_cell(row, "meaning"),
                       timing != row.end() && std::get<int64_t>(timing->second) != 0});
  }
  list = std::make_shared<const std::vector<Column>>(std::move(columns));
  return list;
}

PackedRows read_packed(hid_t file, const ColumnList& columns) {
  return read_dataset(file, kPoints, columns);
}

void check_table(const std::vector<Column>& columns, const std::vector<Row>& rows) {
  std::map<std::string, ColumnType> types;
  std::set<std::string> names;
  for (const Column& column : columns) {
    types[column.name] = column.type;
    const bool fresh =
        names.insert(column.name).second &&
        (column.type != ColumnType::kInt64 || names.insert(kFlagPrefix + column.name).second);
    if (column.name.empty() || !fresh) {
      throw Error(fmt::format("the column `{}` is there twice", column.name));
    }
  }
  for (const Row& row : rows) {
    const auto point = row.find("point");
    if (point == row.end() || !std::holds_alternative<std::string>(point->second)) {
      throw Error("a row has no `point`");
    }
    for (const auto& [name, cell] : row) {
      const auto type = types.find(name);
      if (type == types.end()) throw Error(fmt::format("the cell `{}` has no column", name));
      if (type->second != type_of(cell)) {
        throw Error(fmt::format("the cell `{}` is no {}", name, type_name(type->second)));
      }
      const std::string* text = std::get_if<std::string>(&cell);
      if (text && text->find('\0') != std::string::npos) {
        throw Error(fmt::format("the cell `{}` holds a zero byte", name));
      }
    }
  }
}

std::vector<Column> united_columns(const std::vector<std::vector<Column>>& lists) {
  std::map<std::string, Column> united;
  for (const std::vector<Column>& list : lists) {
    for (const Column& column : list) {
      Column& known = united.try_emplace(column.name, column).first->second;
      if (rank(column.type) > rank(known.type)) known.type = column.type;
      known.timing = known.timing || column.timing;
    }
  }
  std::vector<Column> columns;
  for (auto& [name, column] : united) columns.push_back(std::move(column));
  return columns;
}

Cell converted(const Cell& cell, ColumnType type) {
  if (type_of(cell) == type) return cell;
  if (type == ColumnType::kFloat64) return static_cast<double>(std::get<int64_t>(cell));
  const int64_t* whole = std::get_if<int64_t>(&cell);
  return whole ? fmt::format("{}", *whole) : fmt::format("{}", std::get<double>(cell));
}

}  // namespace tarflow::record
