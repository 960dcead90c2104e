// The little of the HDF5 C API that records need, with owned handles and errors that name the file.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace tarflow::record {

// An open HDF5 object, closed at the end of its scope.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, H5I_INVALID_HID);
      close_ = other.close_;
    }
    return *this;
  }

  operator hid_t() const {
    return id_;
  }  // NOLINT(google-explicit-constructor): handed to the C API

 private:
  void reset() {
    if (id_ >= 0) close_(id_);
    id_ = H5I_INVALID_HID;
  }

  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

// HDF5 prints its error stack to stderr by default; within this scope it does not.
class QuietHdf5 {
 public:
  QuietHdf5();
  ~QuietHdf5();
  QuietHdf5(const QuietHdf5&) = delete;
  QuietHdf5& operator=(const QuietHdf5&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// `id` in an owner. Throws Error with `what` and HDF5's innermost reason when the call that gave it
// failed.
Handle own(hid_t id, Handle::Close close, const std::string& what);
// Throws Error likewise for calls that return a negative number on failure.
void check(int64_t result, const std::string& what);

// Creation properties without times, so that equal content gives equal bytes.
Handle timeless(hid_t property_class);
Handle create_group(hid_t parent, const std::string& name);
Handle open_group(hid_t parent, const std::string& name);
std::vector<std::string> member_names(hid_t group);  // sorted

// Strings of `size` bytes in UTF-8, padded with zeros; HDF5 has none of 0 bytes, so "" takes one.
Handle text_type(size_t size);
// `text` without the padding.
std::string unpadded(const char* text, size_t size);

// A simple dataspace; {} is a scalar.
Handle data_space(const std::vector<int64_t>& shape);
std::vector<int64_t> shape_of(hid_t dataset);

// Throws Error when `text` holds a zero byte, which padding could not be told from.
void write_attribute(hid_t object, const std::string& name, const std::string& text);
void write_attribute(hid_t object, const std::string& name, int64_t value);
std::string read_text_attribute(hid_t object, const std::string& name);
int64_t read_integer_attribute(hid_t object, const std::string& name);

// A record's file, new (512 bytes of user block, no times) or for reading.
Handle create_file(const std::filesystem::path& file);
Handle open_file(const std::filesystem::path& file);
Handle open_to_change(const std::filesystem::path& file);

}  // namespace tarflow::record
