// The contents of many files at once.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace tarflow {

// sha256_file() of each, read on as many threads as there are cores; "" for a file that cannot be
// read. Order as given.
std::vector<std::string> sha256_files(std::span<const std::string> paths);

}  // namespace tarflow
