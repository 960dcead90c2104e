// What a merge takes of the jobs' files: rows and where their arrays are.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/record/job_file.h"
#include "framework/record/origins.h"
#include "framework/record/record.h"

namespace tarflow::record {

// A readable job file: what the merged table takes of it. Its arrays are read when they are
// written.
struct Source {
  std::filesystem::path file;
  std::string stamp;  // of the file when it was checked; "" if it was not
  std::string job;    // hash
  std::string sha256;
  uint64_t bytes = 0;  // of its HDF5 part
  int64_t generation = 0;
  ColumnList columns;
  std::shared_ptr<const PackedRows> rows;
  std::vector<size_t> places;       // of its points in `rows`
  std::vector<std::string> points;  // their ids
  std::vector<std::string> wanted;  // sorted; empty: all
  std::vector<size_t> taken;        // which of `points`
  std::optional<Origin> before;     // where the sweep's file holds the same job already
  ArraySizes sizes;                 // where links are used

  bool takes_all() const { return taken.size() == points.size(); }
};

// A sweep's file, whole and checked, as the last merge left it.
struct LastMerge {
  Handle file;
  std::filesystem::path path;
  std::string sha256;  // of its content
  std::string name;
  Origins origins;
  std::map<std::string, const Origin*> by_sha256;
  std::shared_ptr<const PackedRows> rows;
  std::map<std::string, std::vector<size_t>> places;  // rows of each job
};

// Nothing where the file does not tell what it was merged from, or in a way that rows cannot be
// taken from it, and where its content is not the one of `sha256`, which was whole. Throws Error.
std::unique_ptr<const LastMerge> read_last_merge(const std::filesystem::path& file,
                                                 const std::string& sha256);

// Of the content of the job's file, as it is known or as its envelope says. Throws Error.
std::string sha256_of(const JobFile& job);

std::vector<std::string> sorted_ids(std::vector<std::string> ids);

// Those that can be read; what is wrong with the others goes to `problems`. What `last` holds
// already is taken from it.
std::vector<Source> read_sources(const std::vector<JobFile>& job_files, const LastMerge* last,
                                 std::vector<Problem>& problems);

// Decides which rows are taken, drops sources that give none, and sorts by hash.
void choose_rows(std::vector<Source>& sources);

// /columns and /points, sorted by point.
void write_merged_table(hid_t out, const std::vector<Source>& sources);
// /order: the points that are there, in the order of the sweep file.
void write_order(hid_t out, const std::vector<std::string>& order,
                 const std::vector<Source>& sources);

}  // namespace tarflow::record
