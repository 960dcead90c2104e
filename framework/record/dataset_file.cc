#include "framework/record/dataset_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/file.h"
#include "framework/record/array.h"
#include "framework/record/hdf5.h"

namespace tarflow::record {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // elements; what a user's dataset may claim

// The type a dataset of this type is read as.
ArrayType read_type(hid_t type, const std::string& what) {
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return H5Tget_size(type) <= 4 ? ArrayType::kFloat32 : ArrayType::kFloat64;
    case H5T_INTEGER:
      return ArrayType::kInt64;
    default:
      throw Error(what + ": it does not hold numbers");
  }
}

hid_t memory_type(ArrayType type) {
  if (type == ArrayType::kFloat32) return H5T_NATIVE_FLOAT;
  return type == ArrayType::kFloat64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
}

// H5Lexists wants every group on the way to exist.
bool link_exists(hid_t file, const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (H5Lexists(file, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(file, path.c_str(), H5P_DEFAULT) > 0;
}

}  // namespace

Array read_dataset(const std::filesystem::path& path, const std::string& dataset) {
  const QuietHdf5 quiet;
  const std::string what =
      fmt::format("cannot read the dataset `{}` of {}", dataset, path.string());
  const Handle file = open_file(path);
  if (!link_exists(file, dataset)) {
    throw Error(fmt::format("{} has no dataset `{}`", path.string(), dataset),
                did_you_mean(dataset, member_names(file)));
  }
  const Handle data = own(H5Dopen2(file, dataset.c_str(), H5P_DEFAULT), H5Dclose, what);
  const Handle type = own(H5Dget_type(data), H5Tclose, what);
  Array array;
  array.path = dataset;
  array.type = read_type(type, what);
  array.shape = shape_of(data);
  int64_t count = 1;
  for (const int64_t size : array.shape) {
    if (size < 0 || size > kLargest || count * size > kLargest)
      throw Error(what + ": it is too large");
    count *= size;
  }
  // A file may claim far more than it holds; what is not stored is not worth reading.
  if (static_cast<hsize_t>(count) * H5Tget_size(type) > 64 * (H5Dget_storage_size(data) + 1)) {
    throw Error(what + ": it claims more than it holds");
  }
  array.data.resize(static_cast<size_t>(count) * element_bytes(array.type));
  if (count > 0) {
    check(H5Dread(data, memory_type(array.type), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data()),
          what);
  }
  return array;
}

void write_datasets(const std::filesystem::path& path, const std::vector<Array>& arrays,
                    const std::map<std::string, std::string>& attributes) {
  const QuietHdf5 quiet;
  std::vector<Array> sorted = arrays;
  std::sort(sorted.begin(), sorted.end(),
            [](const Array& a, const Array& b) { return a.path < b.path; });
  for (const Array& array : sorted) check_array(array);
  write_aside(path, [&](const std::filesystem::path& aside) {
    const std::string what = fmt::format("cannot write {}", path.string());
    const Handle creation = timeless(H5P_FILE_CREATE);
    const Handle file =
        own(H5Fcreate(aside.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT), H5Fclose, what);
    write_arrays(file, sorted);
    for (const auto& [name, text] : attributes) write_attribute(file, name, text);
  });
}

std::string read_root_attribute(const std::filesystem::path& path, const std::string& name) {
  const QuietHdf5 quiet;
  const Handle file = open_file(path);
  return H5Aexists(file, name.c_str()) > 0 ? read_text_attribute(file, name) : "";
}

}  // namespace tarflow::record
