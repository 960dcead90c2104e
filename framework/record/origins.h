// What a sweep's file tells of the jobs' files that it was merged from: /sources. It is what lets a
// merge go on from the last one, and what linked files are checked against.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/record/table.h"

namespace tarflow::record {

// Bytes of a job's arrays by their size: those of more than 4^(k-1) and at most 4^k bytes under k.
using ArraySizes = std::map<int, uint64_t>;

int size_class(uint64_t bytes);             // k of an array
uint64_t largest_of_class(int size_class);  // 4^k

struct Origin {
  std::string job;     // hash
  std::string sha256;  // content of the job's file
  uint64_t bytes = 0;  // of its HDF5 part
  int64_t generation = 0;
  size_t columns = 0;     // which of the lists
  bool all = true;        // of its points no one was left out
  std::string file = {};  // to which its links lead, relative to the record; "": none
  ArraySizes sizes = {};  // where links are used
};

struct Origins {
  std::vector<Origin> jobs;         // sorted by hash
  std::vector<ColumnList> columns;  // of the jobs' files
  // Arrays of more bytes are links. Nothing: there are no links.
  std::optional<uint64_t> linked_over;
  uint64_t unused = 0;  // bytes that changes in place left unused in the file
};

// One text for equal lists.
std::string columns_text(const std::vector<Column>& columns);

void write_origins(hid_t file, const Origins& origins);
void note_unused(hid_t file, uint64_t bytes);  // in a file with origins
// Nothing where the file does not tell, as files of earlier programs and of jobs; with
// `linked_only` also where there are no links. Throws Error.
std::optional<Origins> read_origins(hid_t file, bool linked_only = false);

}  // namespace tarflow::record
