#include "framework/record/hdf5.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "framework/core/error.h"
#include "framework/record/envelope.h"

namespace tarflow::record {
namespace {

herr_t keep_description(unsigned, const H5E_error2_t* entry, void* text) {
  if (entry->desc) *static_cast<std::string*>(text) = entry->desc;
  return 0;
}

// Walking upward ends with the outermost call; the innermost reason comes first and says most.
std::string innermost_reason() {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_description, &reason);
  return reason;
}

[[noreturn]] void fail(const std::string& what) {
  const std::string reason = innermost_reason();
  H5Eclear2(H5E_DEFAULT);
  throw Error(reason.empty() ? what : fmt::format("{} (HDF5: {})", what, reason));
}

herr_t append_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

void create_attribute(hid_t object, const std::string& name, hid_t file_type, hid_t memory_type,
                      const void* value) {
  const std::string what = fmt::format("cannot write the attribute `{}`", name);
  const Handle space = own(H5Screate(H5S_SCALAR), H5Sclose, what);
  const Handle attribute = own(
      H5Acreate2(object, name.c_str(), file_type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what);
  check(H5Awrite(attribute, memory_type, value), what);
}

// One format whatever the library's version, readable by HDF5 1.8 and later.
Handle one_format(const std::string& what) {
  Handle access = own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  check(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18), what);
  return access;
}

// Files are renamed into place whole, so no lock is needed, and some cluster file systems have
// none.
void without_lock([[maybe_unused]] hid_t access, [[maybe_unused]] const std::string& what) {
#if H5_VERSION_GE(1, 10, 7)
  check(H5Pset_file_locking(access, false, true), what);
#endif
}

}  // namespace

QuietHdf5::QuietHdf5() {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietHdf5::~QuietHdf5() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

Handle own(hid_t id, Handle::Close close, const std::string& what) {
  if (id < 0) fail(what);
  return Handle(id, close);
}

void check(int64_t result, const std::string& what) {
  if (result < 0) fail(what);
}

Handle timeless(hid_t property_class) {
  Handle properties = own(H5Pcreate(property_class), H5Pclose, "cannot use HDF5");
  check(H5Pset_obj_track_times(properties, false), "cannot use HDF5 without object times");
  return properties;
}

Handle create_group(hid_t parent, const std::string& name) {
  const Handle properties = timeless(H5P_GROUP_CREATE);
  return own(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, properties, H5P_DEFAULT), H5Gclose,
             fmt::format("cannot make the group `{}`", name));
}

Handle open_group(hid_t parent, const std::string& name) {
  return own(H5Gopen2(parent, name.c_str(), H5P_DEFAULT), H5Gclose,
             fmt::format("the group `{}` is missing", name));
}

std::vector<std::string> member_names(hid_t group) {
  std::vector<std::string> names;
  check(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, append_name, &names),
        "cannot list a group");
  std::sort(names.begin(), names.end());
  return names;
}

Handle text_type(size_t size) {
  Handle type = own(H5Tcopy(H5T_C_S1), H5Tclose, "cannot make a text type");
  check(H5Tset_size(type, std::max<size_t>(size, 1)), "cannot make a text type");
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), "cannot make a text type");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "cannot make a text type");
  return type;
}

std::string unpadded(const char* text, size_t size) { return {text, ::strnlen(text, size)}; }

Handle data_space(const std::vector<int64_t>& shape) {
  if (shape.empty()) return own(H5Screate(H5S_SCALAR), H5Sclose, "cannot make a dataspace");
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  return own(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose,
             "cannot make a dataspace");
}

std::vector<int64_t> shape_of(hid_t dataset) {
  const Handle space = own(H5Dget_space(dataset), H5Sclose, "cannot read a dataspace");
  const int rank = H5Sget_simple_extent_ndims(space);
  check(rank, "cannot read a dataspace");
  std::vector<hsize_t> sizes(static_cast<size_t>(rank));
  check(H5Sget_simple_extent_dims(space, sizes.data(), nullptr), "cannot read a dataspace");
  return {sizes.begin(), sizes.end()};
}

void write_attribute(hid_t object, const std::string& name, const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    throw Error(fmt::format("the attribute `{}` holds a zero byte", name));
  }
  const Handle type = text_type(text.size());
  create_attribute(object, name, type, type, text.c_str());
}

void write_attribute(hid_t object, const std::string& name, int64_t value) {
  create_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

std::string read_text_attribute(hid_t object, const std::string& name) {
  const std::string what = fmt::format("cannot read the attribute `{}`", name);
  const Handle attribute = own(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, what);
  const Handle type = own(H5Aget_type(attribute), H5Tclose, what);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0) throw Error(what);
  std::string text(H5Tget_size(type), '\0');
  check(H5Aread(attribute, type, text.data()), what);
  return unpadded(text.data(), text.size());
}

int64_t read_integer_attribute(hid_t object, const std::string& name) {
  const std::string what = fmt::format("cannot read the attribute `{}`", name);
  const Handle attribute = own(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, what);
  int64_t value = 0;
  check(H5Aread(attribute, H5T_NATIVE_INT64, &value), what);
  return value;
}

Handle create_file(const std::filesystem::path& file) {
  const std::string what = fmt::format("cannot write {}", file.string());
  const Handle creation = timeless(H5P_FILE_CREATE);
  check(H5Pset_userblock(creation, kEnvelopeBytes), what);
  return own(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, creation, one_format(what)), H5Fclose, what);
}

Handle open_file(const std::filesystem::path& file) {
  const std::string what = fmt::format("cannot read {}", file.string());
  const Handle access = own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  without_lock(access, what);
  return own(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access), H5Fclose, what);
}

Handle open_to_change(const std::filesystem::path& file) {
  const std::string what = fmt::format("cannot write {}", file.string());
  const Handle access = one_format(what);
  without_lock(access, what);
  return own(H5Fopen(file.c_str(), H5F_ACC_RDWR, access), H5Fclose, what);
}

}  // namespace tarflow::record
