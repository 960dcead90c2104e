// Arrays as datasets in a job's group.
#pragma once

#include <hdf5.h>

#include <optional>
#include <string>
#include <vector>

#include "framework/record/record.h"

namespace tarflow::record {

size_t element_bytes(ArrayType type);  // 0 for strings
const char* type_name(ArrayType type);

// Throws Error when the data do not fill the shape or the path is not one.
void check_array(const Array& array);

// One text as a scalar dataset.
Array make_text(std::string path, std::string text, std::string meaning);

// The text of such a dataset. Throws Error when it is no single text.
std::string read_text(hid_t group, const std::string& name);

// `arrays` sorted by path. Makes the groups on the way.
void write_arrays(hid_t group, const std::vector<Array>& arrays);
// All below the group, sorted by path.
std::vector<Array> read_arrays(hid_t group);
// The array at this path below the group; nothing where there is none.
std::optional<Array> read_array(hid_t group, const std::string& path);
// The paths of all arrays below the group, sorted.
std::vector<std::string> array_paths(hid_t group);

}  // namespace tarflow::record
