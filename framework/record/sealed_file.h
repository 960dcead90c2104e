// Files of arrays in the envelope of records (envelope.h): damage is found before HDF5 reads them.
#pragma once

#include <filesystem>
#include <vector>

#include "framework/record/record.h"

namespace tarflow::record {

// Written aside, fsync, rename. Throws Error naming the file.
void write_sealed(const std::filesystem::path& file, std::vector<Array> arrays);
// All arrays, sorted by path. Throws Error naming the file when it is absent or not whole.
std::vector<Array> read_sealed(const std::filesystem::path& file);

}  // namespace tarflow::record
