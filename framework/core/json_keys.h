// Files that another version of this program may have written: a key that is absent has a default,
// a value of another type is an error that names its key.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>

#include "framework/core/error.h"
#include "framework/core/json.h"

namespace tarflow {

// `json[key]`, or `otherwise` where it is absent. Throws Error naming the key. 1.5 is no integer
// and 1 no boolean.
template <typename Value>
Value value_or(const Json& json, const char* key, Value otherwise) {
  if (!json.is_object()) throw Error("it is no JSON object");
  const auto found = json.find(key);
  if (found == json.end()) return otherwise;
  const bool whole = found->is_number_integer();
  if constexpr (std::is_same_v<Value, bool>) {
    if (found->is_boolean()) return found->get<bool>();
  } else if constexpr (std::is_integral_v<Value>) {
    if (whole) return found->get<Value>();
  } else if constexpr (std::is_same_v<Value, Json>) {
    return *found;
  } else {
    try {
      if (!found->is_boolean()) return found->get<Value>();
    } catch (const Json::exception&) {
    }
  }
  throw Error(fmt::format("its `{}` is {}, a value of the wrong type", key, found->dump()),
              "it was changed by hand or by another program; restore the value");
}

// The same of a key without a default. Throws Error naming it where it is absent.
template <typename Value>
Value required_value(const Json& json, const char* key) {
  if (json.is_object() && !json.contains(key)) {
    throw Error(fmt::format("it lacks the key `{}`", key));
  }
  return value_or(json, key, Value());
}

// Calls `read` on the JSON in `file`; what is wrong with it is said to be in that file.
template <typename Read>
auto read_keys(const std::filesystem::path& file, const Read& read) {
  const Json json = read_json_file(file);
  try {
    return read(json);
  } catch (const Error& failure) {
    Problem problem = failure.problems().front();
    problem.what = fmt::format("{}: {}", file.string(), problem.what);
    throw Error(std::move(problem));
  }
}

}  // namespace tarflow
