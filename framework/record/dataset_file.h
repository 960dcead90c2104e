// HDF5 files that are not records: a user's noise and labels, and statistics of image features.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/record/record.h"

namespace tarflow::record {

// One dataset of any HDF5 file by path ("noise", "group/noise"). Floating point types become
// float32 when they are at most 4 bytes wide and float64 otherwise; integers become int64. Throws
// Error naming file and dataset.
Array read_dataset(const std::filesystem::path& file, const std::string& dataset);

// A plain file of datasets, with their units and meanings, and text attributes of the root; written
// aside, no times, so that equal content gives equal bytes. Throws Error.
void write_datasets(const std::filesystem::path& file, const std::vector<Array>& arrays,
                    const std::map<std::string, std::string>& attributes);
// An attribute of the root, "" when it is absent. Throws Error.
std::string read_root_attribute(const std::filesystem::path& file, const std::string& name);

}  // namespace tarflow::record
