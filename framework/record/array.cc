#include "framework/record/array.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>

#include "framework/record/hdf5.h"

namespace tarflow::record {
namespace {

int64_t element_count(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

template <typename Value>
Array numeric_array(ArrayType type, std::string path, std::vector<int64_t> shape,
                    const std::vector<Value>& values, std::string unit, std::string meaning) {
  Array array;
  array.path = std::move(path);
  array.type = type;
  array.shape = std::move(shape);
  array.data.resize(values.size() * sizeof(Value));
  if (!values.empty()) std::memcpy(array.data.data(), values.data(), array.data.size());
  array.unit = std::move(unit);
  array.meaning = std::move(meaning);
  check_array(array);
  return array;
}

template <typename Value>
std::vector<double> doubles_of(const Array& array) {
  std::vector<Value> values(array.data.size() / sizeof(Value));
  if (!values.empty()) std::memcpy(values.data(), array.data.data(), array.data.size());
  return {values.begin(), values.end()};
}

// Files are little-endian, as are all machines this runs on: the type in the file and in memory is
// one.
hid_t numeric_type(ArrayType type) {
  switch (type) {
    case ArrayType::kFloat32:
      return H5T_IEEE_F32LE;
    case ArrayType::kFloat64:
      return H5T_IEEE_F64LE;
    case ArrayType::kInt64:
      return H5T_STD_I64LE;
    default:
      return H5T_STD_U8LE;
  }
}

ArrayType array_type(hid_t type) {
  if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0) return ArrayType::kString;
  for (const ArrayType known :
       {ArrayType::kFloat32, ArrayType::kFloat64, ArrayType::kInt64, ArrayType::kUInt8}) {
    if (H5Tequal(type, numeric_type(known)) > 0) return known;
  }
  throw Error("a dataset has a type that records do not use");
}

Handle type_for(const Array& array) {
  if (array.type != ArrayType::kString) {
    return own(H5Tcopy(numeric_type(array.type)), H5Tclose, "cannot make a type");
  }
  size_t width = 0;
  for (const std::string& text : array.strings) width = std::max(width, text.size());
  return text_type(width);
}

std::vector<std::byte> padded(const std::vector<std::string>& strings, size_t width) {
  std::vector<std::byte> bytes(strings.size() * width);
  for (size_t i = 0; i < strings.size(); ++i) {
    if (!strings[i].empty())
      std::memcpy(bytes.data() + i * width, strings[i].data(), strings[i].size());
  }
  return bytes;
}

void write_array(hid_t parent, const std::string& name, const Array& array) {
  const std::string what = fmt::format("cannot write the array `{}`", array.path);
  const Handle type = type_for(array);
  const Handle properties = timeless(H5P_DATASET_CREATE);
  const Handle dataset = own(H5Dcreate2(parent, name.c_str(), type, data_space(array.shape),
                                        H5P_DEFAULT, properties, H5P_DEFAULT),
                             H5Dclose, what);
  if (element_count(array.shape) > 0) {
    const bool is_text = array.type == ArrayType::kString;
    const std::vector<std::byte> text =
        is_text ? padded(array.strings, H5Tget_size(type)) : std::vector<std::byte>{};
    check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                   is_text ? text.data() : array.data.data()),
          what);
  }
  if (!array.axes.empty()) write_attribute(dataset, "axes", Json(array.axes).dump());
  write_attribute(dataset, "meaning", array.meaning);
  write_attribute(dataset, "point", array.point);
  write_attribute(dataset, "timing", int64_t{array.timing});
  write_attribute(dataset, "unit", array.unit);
}

Array read_opened(hid_t dataset, const std::string& path) {
  const std::string what = fmt::format("cannot read the array `{}`", path);
  const Handle type = own(H5Dget_type(dataset), H5Tclose, what);
  Array array;
  array.path = path;
  array.type = array_type(type);
  array.shape = shape_of(dataset);
  if (H5Aexists(dataset, "axes") > 0) {
    array.axes = Json::parse(read_text_attribute(dataset, "axes")).get<std::vector<std::string>>();
  }
  array.meaning = read_text_attribute(dataset, "meaning");
  array.point = read_text_attribute(dataset, "point");
  array.timing = read_integer_attribute(dataset, "timing") != 0;
  array.unit = read_text_attribute(dataset, "unit");
  const size_t count = static_cast<size_t>(element_count(array.shape));
  const size_t width = H5Tget_size(type);
  array.data.resize(count * width);
  if (count > 0) {
    check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data()), what);
  }
  if (array.type == ArrayType::kString) {
    for (size_t i = 0; i < count; ++i) {
      array.strings.push_back(
          unpadded(reinterpret_cast<const char*>(array.data.data()) + i * width, width));
    }
    array.data.clear();
  }
  return array;
}

// Calls `take` with each dataset below, which may be a link: its group, its name there and its
// path.
using TakeDataset = std::function<void(hid_t, const std::string&, const std::string&)>;

void each_below(hid_t group, const std::string& prefix, const TakeDataset& take) {
  for (const std::string& name : member_names(group)) {
    const std::string path = prefix + name;
    if (link_at(group, name)) {
      take(group, name, path);
      continue;
    }
    H5O_info_t info;
    check(H5Oget_info_by_name(group, name.c_str(), &info, H5P_DEFAULT),
          fmt::format("cannot read `{}`", path));
    if (info.type == H5O_TYPE_GROUP) {
      each_below(open_group(group, name), path + "/", take);
    } else {
      take(group, name, path);
    }
  }
}

Handle open_dataset(hid_t group, const std::string& name, const std::string& path,
                    const OpenLinked& linked) {
  const std::string what = fmt::format("cannot read the array `{}`", path);
  const std::optional<Link> link = link_at(group, name);
  if (!link) return own(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, what);
  if (!linked) throw Error(fmt::format("{}: it is in another file, {}", what, link->file));
  return own(H5Dopen2(linked(*link), link->path.c_str(), H5P_DEFAULT), H5Dclose,
             fmt::format("{} of {}", what, link->file));
}

// The groups on the way to arrays below a group, made when they are needed.
class GroupsBelow {
 public:
  explicit GroupsBelow(hid_t group) : group_(group) {}
  // The group of the array and its name there.
  std::pair<hid_t, std::string> parent_of(const std::string& path) {
    hid_t parent = group_;
    size_t start = 0;
    for (size_t end; (end = path.find('/', start)) != std::string::npos; start = end + 1) {
      Handle& entry = groups_[path.substr(0, end)];
      if (entry < 0) entry = create_group(parent, path.substr(start, end - start));
      parent = entry;
    }
    return {parent, path.substr(start)};
  }

 private:
  hid_t group_;
  std::map<std::string, Handle> groups_;  // by path, "" not among them
};

uint64_t stored_bytes(hid_t group, const std::string& name) {
  const Handle dataset = own(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose,
                             fmt::format("cannot read the array `{}`", name));
  return H5Dget_storage_size(dataset);
}

std::string point_of(hid_t group, const std::string& name) {
  const Handle dataset = own(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose,
                             fmt::format("cannot read the array `{}`", name));
  return read_text_attribute(dataset, "point");
}

// Whether nothing is at the path. H5Lexists wants every group on the way to exist.
bool is_nowhere(hid_t group, const std::string& path) {
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    if (H5Lexists(group, path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return true;
    if (end == std::string::npos) return false;
  }
}

}  // namespace

size_t element_bytes(ArrayType type) {
  switch (type) {
    case ArrayType::kFloat32:
      return 4;
    case ArrayType::kFloat64:
    case ArrayType::kInt64:
      return 8;
    case ArrayType::kUInt8:
      return 1;
    case ArrayType::kString:
      break;
  }
  return 0;
}

const char* type_name(ArrayType type) {
  switch (type) {
    case ArrayType::kFloat32:
      return "float32";
    case ArrayType::kFloat64:
      return "float64";
    case ArrayType::kInt64:
      return "int64";
    case ArrayType::kUInt8:
      return "uint8";
    case ArrayType::kString:
      break;
  }
  return "string";
}

void check_array(const Array& array) {
  const std::string& path = array.path;
  if (path.empty() || path.front() == '/' || path.back() == '/' ||
      path.find("//") != std::string::npos) {
    throw Error(fmt::format("`{}` is no path of an array", path));
  }
  const size_t count = static_cast<size_t>(element_count(array.shape));
  const bool fits = array.type == ArrayType::kString
                        ? array.strings.size() == count
                        : array.data.size() == count * element_bytes(array.type);
  if (!fits) throw Error(fmt::format("the data of the array `{}` do not fill its shape", path));
  if (!array.axes.empty() && array.axes.size() != array.shape.size()) {
    throw Error(fmt::format("the array `{}` names {} axes and has {}", path, array.axes.size(),
                            array.shape.size()));
  }
  for (const std::string& text : array.strings) {
    if (text.find('\0') != std::string::npos) {
      throw Error(fmt::format("the array `{}` holds a zero byte in a text", path));
    }
  }
}

Array make_text(std::string path, std::string text, std::string meaning) {
  Array array;
  array.path = std::move(path);
  array.type = ArrayType::kString;
  array.strings = {std::move(text)};
  array.meaning = std::move(meaning);
  return array;
}

std::string read_text(hid_t group, const std::string& name) {
  const std::string what = fmt::format("cannot read the text `{}`", name);
  const Handle dataset = own(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, what);
  const Handle type = own(H5Dget_type(dataset), H5Tclose, what);
  if (array_type(type) != ArrayType::kString || !shape_of(dataset).empty()) throw Error(what);
  std::string text(H5Tget_size(type), '\0');
  check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()), what);
  return unpadded(text.data(), text.size());
}

void write_arrays(hid_t group, const std::vector<Array>& arrays) {
  GroupsBelow groups(group);
  for (const Array& array : arrays) {
    const auto [parent, name] = groups.parent_of(array.path);
    write_array(parent, name, array);
  }
}

std::vector<Array> read_arrays(hid_t group, const OpenLinked& linked) {
  std::vector<Array> arrays;
  each_below(group, "", [&](hid_t parent, const std::string& name, const std::string& path) {
    arrays.push_back(read_opened(open_dataset(parent, name, path, linked), path));
  });
  std::sort(arrays.begin(), arrays.end(),
            [](const Array& a, const Array& b) { return a.path < b.path; });
  return arrays;
}

std::vector<std::string> array_paths(hid_t group) {
  std::vector<std::string> paths;
  each_below(group, "",
             [&](hid_t, const std::string&, const std::string& path) { paths.push_back(path); });
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::optional<Array> read_array(hid_t group, const std::string& path, const OpenLinked& linked) {
  if (linked) {
    if (is_nowhere(group, path)) return std::nullopt;
    return read_opened(open_dataset(group, path, path, linked), path);
  }
  // Asked only when it cannot be opened, as HDF5 looks for every group on the way again.
  const Handle dataset(H5Dopen2(group, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (dataset < 0 && is_nowhere(group, path)) return std::nullopt;
  return read_opened(dataset, path);
}

bool is_linked(hid_t group, const std::string& path) {
  return !is_nowhere(group, path) && link_at(group, path);
}

std::map<std::string, uint64_t> array_bytes(hid_t group) {
  std::map<std::string, uint64_t> bytes;
  each_below(group, "", [&](hid_t parent, const std::string& name, const std::string& path) {
    if (!link_at(parent, name)) bytes[path] = stored_bytes(parent, name);
  });
  return bytes;
}

void copy_arrays(hid_t from, hid_t to, const std::function<bool(const std::string& point)>& wanted,
                 const std::optional<uint64_t>& linked_over,
                 const std::function<Link(const std::string& path)>& link_to,
                 const std::function<bool(const std::string& path)>& always) {
  GroupsBelow groups(to);
  for (const auto& [path, bytes] : array_bytes(from)) {
    const std::string point = point_of(from, path);
    if (!point.empty() && !wanted(point)) continue;
    const auto [parent, name] = groups.parent_of(path);
    if (linked_over && bytes > *linked_over && !always(path)) {
      write_link(parent, name, link_to(path));
      continue;
    }
    check(H5Ocopy(from, path.c_str(), parent, name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
          fmt::format("cannot copy the array `{}`", path));
  }
}

Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<double>& values,
                 std::string unit, std::string meaning) {
  return numeric_array(ArrayType::kFloat64, std::move(path), std::move(shape), values,
                       std::move(unit), std::move(meaning));
}

Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<float>& values,
                 std::string unit, std::string meaning) {
  return numeric_array(ArrayType::kFloat32, std::move(path), std::move(shape), values,
                       std::move(unit), std::move(meaning));
}

Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<int64_t>& values,
                 std::string unit, std::string meaning) {
  return numeric_array(ArrayType::kInt64, std::move(path), std::move(shape), values,
                       std::move(unit), std::move(meaning));
}

Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<uint8_t>& values,
                 std::string unit, std::string meaning) {
  return numeric_array(ArrayType::kUInt8, std::move(path), std::move(shape), values,
                       std::move(unit), std::move(meaning));
}

std::vector<double> to_doubles(const Array& array) {
  switch (array.type) {
    case ArrayType::kFloat32:
      return doubles_of<float>(array);
    case ArrayType::kFloat64:
      return doubles_of<double>(array);
    case ArrayType::kInt64:
      return doubles_of<int64_t>(array);
    case ArrayType::kUInt8:
      return doubles_of<uint8_t>(array);
    case ArrayType::kString:
      break;
  }
  throw Error(fmt::format("the array `{}` holds text, not numbers", array.path));
}

}  // namespace tarflow::record
