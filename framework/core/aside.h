// Files that stand in the way of a new one: renamed, never deleted.
#pragma once

#include <filesystem>

namespace tarflow {

// Whether nothing has this name. False where the system does not tell, and for a link that leads
// nowhere: what it should lead to may be on a disk that is not mounted now.
bool is_absent(const std::filesystem::path& path);

// Renames `file` to FILE.WORD-1, or to the first such number that is free, and returns that path.
// Throws Error.
std::filesystem::path set_aside(const std::filesystem::path& file, const char* word = "damaged");

}  // namespace tarflow
