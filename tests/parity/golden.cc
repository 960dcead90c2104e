#include "tests/parity/golden.h"

#include <ATen/ATen.h>
#include <hdf5.h>

#include <algorithm>
#include <stdexcept>

namespace tarflow::parity {
namespace {

hid_t checked(hid_t id, const std::string& what) {
  if (id < 0) throw std::runtime_error("golden file: no " + what);
  return id;
}

std::vector<int64_t> extent(hid_t space) {
  std::vector<hsize_t> sizes(static_cast<size_t>(H5Sget_simple_extent_ndims(space)));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  return {sizes.begin(), sizes.end()};
}

}  // namespace

Golden::Golden(const std::filesystem::path& file)
    : file_(checked(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), file.string())) {}

Golden::~Golden() { H5Fclose(file_); }

bool Golden::has(const std::string& path) const {
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (H5Lexists(file_, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(file_, path.c_str(), H5P_DEFAULT) > 0;
}

at::Tensor Golden::tensor(const std::string& path) const {
  const hid_t data = checked(H5Dopen2(file_, path.c_str(), H5P_DEFAULT), path);
  const hid_t space = H5Dget_space(data), type = H5Dget_type(data);
  const bool integer = H5Tget_class(type) == H5T_INTEGER;
  const bool wide = H5Tget_size(type) == 8;
  at::Tensor tensor = at::empty(extent(space), integer ? at::kLong
                                               : wide  ? at::kDouble
                                                       : at::kFloat);
  H5Dread(data,
          integer ? H5T_NATIVE_INT64
          : wide  ? H5T_NATIVE_DOUBLE
                  : H5T_NATIVE_FLOAT,
          H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.mutable_data_ptr());
  H5Tclose(type);
  H5Sclose(space);
  H5Dclose(data);
  return tensor;
}

std::vector<std::string> Golden::strings(const std::string& path) const {
  const hid_t data = checked(H5Dopen2(file_, path.c_str(), H5P_DEFAULT), path);
  const hid_t space = H5Dget_space(data), type = H5Dget_type(data);
  std::vector<char*> raw(static_cast<size_t>(extent(space).at(0)));
  H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data());
  std::vector<std::string> list(raw.begin(), raw.end());
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw.data());
  H5Tclose(type);
  H5Sclose(space);
  H5Dclose(data);
  return list;
}

std::vector<std::string> Golden::children(const std::string& group) const {
  std::vector<std::string> names;
  const hid_t id = checked(H5Gopen2(file_, group.c_str(), H5P_DEFAULT), group);
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
    static_cast<std::vector<std::string>*>(list)->push_back(name);
    return 0;
  };
  H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names);
  H5Gclose(id);
  return names;
}

double Golden::number(const std::string& object, const std::string& attribute) const {
  const hid_t id =
      checked(H5Aopen_by_name(file_, object.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT),
              attribute);
  double value = 0;
  H5Aread(id, H5T_NATIVE_DOUBLE, &value);
  H5Aclose(id);
  return value;
}

std::vector<int64_t> Golden::integers(const std::string& object,
                                      const std::string& attribute) const {
  const hid_t id =
      checked(H5Aopen_by_name(file_, object.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT),
              attribute);
  const hid_t space = H5Aget_space(id);
  std::vector<int64_t> values(static_cast<size_t>(extent(space).at(0)));
  H5Aread(id, H5T_NATIVE_INT64, values.data());
  H5Sclose(space);
  H5Aclose(id);
  return values;
}

std::vector<double> Golden::numbers(const std::string& object, const std::string& attribute) const {
  const hid_t id =
      checked(H5Aopen_by_name(file_, object.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT),
              attribute);
  const hid_t space = H5Aget_space(id);
  std::vector<double> values(static_cast<size_t>(extent(space).at(0)));
  H5Aread(id, H5T_NATIVE_DOUBLE, values.data());
  H5Sclose(space);
  H5Aclose(id);
  return values;
}

std::string Golden::text(const std::string& object, const std::string& attribute) const {
  const hid_t id =
      checked(H5Aopen_by_name(file_, object.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT),
              attribute);
  const hid_t type = H5Aget_type(id);
  char* value = nullptr;
  if (H5Tis_variable_str(type) > 0) H5Aread(id, type, &value);
  const std::string text = value ? value : "";
  if (value) H5free_memory(value);
  H5Tclose(type);
  H5Aclose(id);
  return text;
}

}  // namespace tarflow::parity
