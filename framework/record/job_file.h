// The one file format of jobs and sweeps (record.h): written from jobs that are handed over one by
// one, so that a merge holds one job in memory.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/record/record.h"

namespace tarflow::record {

struct FileContent {
  std::string kind;  // "job" or "sweep"
  std::string name;  // the job's hash or the sweep's name
  std::vector<Column> columns;
  std::vector<Row> rows;
};

using AddJob = std::function<void(const JobRecord&)>;  // its hash, job, environment and arrays

// Calls `add_jobs` once with a function that takes the jobs, sorted by hash.
void write_file(const std::filesystem::path& file, const FileContent& content,
                const std::function<void(const AddJob&)>& add_jobs);

// Columns and rows alone.
FileContent read_table(const std::filesystem::path& file);
// All jobs of a file, arrays and all.
std::pair<FileContent, std::vector<JobRecord>> read_whole(const std::filesystem::path& file);

}  // namespace tarflow::record
