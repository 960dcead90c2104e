// Arrays as datasets in a job's group.
#pragma once

#include <hdf5.h>

#include <optional>
#include <string>
#include <vector>

#include "framework/record/links.h"
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
// All below the group, sorted by path. `linked` opens the files of links (links.h); without it a
// link is an Error.
std::vector<Array> read_arrays(hid_t group, const OpenLinked& linked = {});
// The array at this path below the group; nothing where there is none.
std::optional<Array> read_array(hid_t group, const std::string& path,
                                const OpenLinked& linked = {});
// The paths of all arrays below the group, sorted. Opens no other file.
std::vector<std::string> array_paths(hid_t group);
// Whether there is an array at this path and it is a link.
bool is_linked(hid_t group, const std::string& path);

// Bytes of all arrays below the group, links left out, by path.
std::map<std::string, uint64_t> array_bytes(hid_t group);
// Copies the arrays below `from` byte for byte to below `to`, in the order of their paths. Of those
// that belong to one point only the ones of which `wanted` says so. Those of more than
// `linked_over` bytes, if that is stated, become links as `link_to` makes them of their paths, but
// for those of which `always` says so.
void copy_arrays(hid_t from, hid_t to, const std::function<bool(const std::string& point)>& wanted,
                 const std::optional<uint64_t>& linked_over,
                 const std::function<Link(const std::string& path)>& link_to,
                 const std::function<bool(const std::string& path)>& always);

}  // namespace tarflow::record
