// JSON as the one form in which settings, jobs and schemas are written, compared and hashed.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace tarflow {

using Json = nlohmann::json;  // objects are sorted by key, so equal values print equally

// One line, sorted keys, shortest round-trip numbers. Throws Error on a number that is not finite.
std::string canonical(const Json& value);

// Throws Error naming the file and the place in it.
Json read_json_file(const std::filesystem::path& path);
// Writes aside, then renames, so that a reader never sees half a file. Throws Error.
void write_json_file(const std::filesystem::path& path, const Json& value);

}  // namespace tarflow
