// JSON as the one form in which settings, jobs and schemas are written, compared and hashed.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace tarflow {

using Json = nlohmann::json;  // objects are sorted by key, so equal values print equally

// One line, sorted keys, shortest round-trip numbers. Throws Error on a number that is not finite.
std::string canonical(const Json& value);

// Throws Error naming the file and the place in it.
Json read_json_file(const std::filesystem::path& path);
// Writes aside, then renames, so that a reader never sees half a file. Throws Error.
void write_json_file(const std::filesystem::path& path, const Json& value);

// One JSON value that many owners read, so that copies cost nothing.
class SharedJson {
 public:
  SharedJson() = default;  // null
  SharedJson(Json value)   // NOLINT(google-explicit-constructor): as Json is made
      : value_(value.is_null() ? nullptr : std::make_shared<const Json>(std::move(value))) {}

  const Json& get() const {
    static const Json null;
    return value_ ? *value_ : null;
  }
  operator const Json&() const { return get(); }  // NOLINT(google-explicit-constructor)
  const Json& at(const char* key) const { return get().at(key); }
  bool contains(const char* key) const { return get().contains(key); }
  bool is_null() const { return !value_; }
  bool empty() const { return get().empty(); }

 private:
  std::shared_ptr<const Json> value_;
};

}  // namespace tarflow
