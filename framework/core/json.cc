#include "framework/core/json.h"

#include <fmt/format.h>

#include <cmath>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow {
namespace {

void require_finite(const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    throw Error("a setting is not a finite number", "state a finite number");
  }
  if (value.is_structured()) {
    for (const Json& item : value) require_finite(item);
  }
}

}  // namespace

std::string canonical(const Json& value) {
  require_finite(value);  // JSON has no spelling for them, and `null` would lose the difference
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json read_json_file(const std::filesystem::path& path) {
  try {
    return Json::parse(read_file(path));
  } catch (const Json::parse_error& failure) {
    throw Error(fmt::format("{} is not JSON: {}", path.string(), failure.what()));
  }
}

void write_json_file(const std::filesystem::path& path, const Json& value) {
  write_file(path, value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace tarflow
