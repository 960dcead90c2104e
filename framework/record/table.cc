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

// Where one column lies in a packed row.
struct Member {
  Column column;
  size_t offset = 0;
  size_t width = 0;  // bytes of the value; an int64's flag is the byte after it
};

struct RowLayout {
  std::vector<Member> members;
  size_t bytes = 0;
};

void append(RowLayout& layout, const Column& column, size_t text_width) {
  const size_t width = column.type == ColumnType::kString ? std::max<size_t>(text_width, 1) : 8;
  layout.members.push_back({column, layout.bytes, width});
  layout.bytes += width + (column.type == ColumnType::kInt64 ? 1 : 0);
}

RowLayout layout_for(const std::vector<Column>& columns, const std::vector<Row>& rows) {
  RowLayout layout;
  for (const Column& column : columns) {
    size_t text_width = 0;
    for (const Row& row : rows) {
      const auto cell = row.find(column.name);
      if (cell == row.end() || column.type != ColumnType::kString) continue;
      text_width = std::max(text_width, std::get<std::string>(cell->second).size());
    }
    append(layout, column, text_width);
  }
  return layout;
}

// The compound type of a row. Values are little-endian in files, and so are all machines this runs
// on.
Handle compound_type(const RowLayout& layout) {
  const std::string what = "cannot make the type of a table's row";
  Handle type = own(H5Tcreate(H5T_COMPOUND, layout.bytes), H5Tclose, what);
  for (const Member& member : layout.members) {
    const std::string& name = member.column.name;
    if (member.column.type == ColumnType::kString) {
      check(H5Tinsert(type, name.c_str(), member.offset, text_type(member.width)), what);
    } else if (member.column.type == ColumnType::kFloat64) {
      check(H5Tinsert(type, name.c_str(), member.offset, H5T_IEEE_F64LE), what);
    } else {
      check(H5Tinsert(type, name.c_str(), member.offset, H5T_STD_I64LE), what);
      check(H5Tinsert(type, (kFlagPrefix + name).c_str(), member.offset + 8, H5T_STD_U8LE), what);
    }
  }
  return type;
}

std::vector<char> pack(const RowLayout& layout, const std::vector<Row>& rows) {
  std::vector<char> bytes(layout.bytes * rows.size(), 0);
  char* at = bytes.data();
  for (const Row& row : rows) {
    for (const Member& member : layout.members) {
      const auto cell = row.find(member.column.name);
      const bool has = cell != row.end();
      char* to = at + member.offset;
      if (member.column.type == ColumnType::kFloat64) {
        // One NaN for all that are absent, so that equal tables are equal bytes.
        double value = has ? std::get<double>(cell->second) : 0;
        if (!has || std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
        std::memcpy(to, &value, sizeof value);
      } else if (has && member.column.type == ColumnType::kInt64) {
        std::memcpy(to, &std::get<int64_t>(cell->second), 8);
        to[8] = 1;
      } else if (has) {
        const std::string& text = std::get<std::string>(cell->second);
        std::memcpy(to, text.data(), text.size());
      }
    }
    at += layout.bytes;
  }
  return bytes;
}

std::vector<Row> unpack(const RowLayout& layout, const std::vector<char>& bytes, size_t count) {
  std::vector<Row> rows(count);
  const char* at = bytes.data();
  for (Row& row : rows) {
    for (const Member& member : layout.members) {
      const char* from = at + member.offset;
      if (member.column.type == ColumnType::kFloat64) {
        double value = 0;
        std::memcpy(&value, from, sizeof value);
        if (!std::isnan(value)) row[member.column.name] = value;
      } else if (member.column.type == ColumnType::kInt64) {
        int64_t value = 0;
        std::memcpy(&value, from, sizeof value);
        if (from[8]) row[member.column.name] = value;
      } else if (std::string text = unpadded(from, member.width); !text.empty()) {
        row[member.column.name] = std::move(text);
      }
    }
    at += layout.bytes;
  }
  return rows;
}

void write_dataset(hid_t file, const char* name, const std::vector<Column>& columns,
                   const std::vector<Row>& rows, const std::string& meaning) {
  const std::string what = fmt::format("cannot write the table `{}`", name);
  const RowLayout layout = layout_for(columns, rows);
  const Handle type = compound_type(layout);
  const Handle properties = timeless(H5P_DATASET_CREATE);
  const Handle dataset =
      own(H5Dcreate2(file, name, type, data_space({static_cast<int64_t>(rows.size())}), H5P_DEFAULT,
                     properties, H5P_DEFAULT),
          H5Dclose, what);
  if (!rows.empty()) {
    const std::vector<char> bytes = pack(layout, rows);
    check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), what);
  }
  write_attribute(dataset, "unit", "");
  write_attribute(dataset, "meaning", meaning);
}

std::vector<Row> read_dataset(hid_t file, const char* name, const std::vector<Column>& columns) {
  const std::string what = fmt::format("cannot read the table `{}`", name);
  const Handle dataset = own(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose, what);
  const Handle stored = own(H5Dget_type(dataset), H5Tclose, what);
  const std::vector<int64_t> shape = shape_of(dataset);
  if (H5Tget_class(stored) != H5T_COMPOUND || shape.size() != 1) throw Error(what);
  RowLayout layout;
  for (const Column& column : columns) {
    const int index = H5Tget_member_index(stored, column.name.c_str());
    check(index, fmt::format("the table `{}` lacks the column `{}`", name, column.name));
    const Handle type =
        own(H5Tget_member_type(stored, static_cast<unsigned>(index)), H5Tclose, what);
    append(layout, column, H5Tget_size(type));
  }
  const size_t count = static_cast<size_t>(shape[0]);
  std::vector<char> bytes(layout.bytes * count);
  if (count > 0) {
    check(H5Dread(dataset, compound_type(layout), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()),
          what);
  }
  return unpack(layout, bytes, count);
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
std::vector<Column> columns_of_columns() {
  return {{"meaning", ColumnType::kString, "", "", false},
          {"name", ColumnType::kString, "", "", false},
          {"timing", ColumnType::kInt64, "", "", false},
          {"type", ColumnType::kString, "", "", false},
          {"unit", ColumnType::kString, "", "", false}};
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

void write_table(hid_t file, const std::vector<Column>& columns, const std::vector<Row>& rows) {
  std::vector<Row> descriptions;
  for (const Column& column : columns) {
    descriptions.push_back({{"name", column.name},
                            {"type", std::string(type_name(column.type))},
                            {"unit", column.unit},
                            {"meaning", column.description},
                            {"timing", int64_t{column.timing}}});
  }
  write_dataset(file, kColumns, columns_of_columns(), descriptions,
                "what each column of /points means, its unit, and whether it is a time");
  write_dataset(
      file, kPoints, columns, rows,
      "one row a point; units and meanings of the columns are in /columns; absent values are "
      "NaN, has_<name> = 0 or \"\"");
}

std::vector<Column> read_columns(hid_t file) {
  std::vector<Column> columns;
  for (const Row& row : read_dataset(file, kColumns, columns_of_columns())) {
    const auto timing = row.find("timing");
    columns.push_back({text_cell(row, "name"), type_of(text_cell(row, "type")),
                       text_cell(row, "unit"), text_cell(row, "meaning"),
                       timing != row.end() && std::get<int64_t>(timing->second) != 0});
  }
  return columns;
}

std::vector<Row> read_points(hid_t file, const std::vector<Column>& columns) {
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
