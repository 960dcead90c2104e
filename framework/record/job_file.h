// The one file format of jobs and sweeps (record.h), as its parts: the envelope and the tables of
// many files are read without their arrays, and a merge copies one job at a time.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/record/hdf5.h"
#include "framework/record/record.h"
#include "framework/record/table.h"

namespace tarflow::record {

inline constexpr const char* kJobsGroup = "jobs";

struct FileContent {
  std::string kind;  // "job" or "sweep"
  std::string name;  // the job's hash or the sweep's name
  std::vector<Column> columns;
  std::vector<Row> rows;
};

// A file as far as a merge looks at it: without arrays, rows as they are stored.
struct FileHead {
  std::string kind;
  std::string name;
  std::string sha256;  // of its content, as verify()
  PackedRows rows;
  int64_t generation = 0;  // of a job: job.json's, 0 when it has none
};

// Columns and rows alone. Checks the whole file.
FileContent read_table(const std::filesystem::path& file);
FileHead read_head(const std::filesystem::path& file, KnownColumns& known);
// All jobs of a file, arrays and all.
std::pair<FileContent, std::vector<JobRecord>> read_whole(const std::filesystem::path& file);

// Makes a file of this kind and name. `fill` writes /columns and /points into the file it is given
// and the jobs, sorted by hash, into the group. `merged` as in Envelope.
using Fill = std::function<void(hid_t file, hid_t jobs)>;
void write_record(const std::filesystem::path& file, const std::string& kind,
                  const std::string& name, const std::string& merged, const Fill& fill);
void write_job_group(hid_t jobs, const JobRecord& job);

}  // namespace tarflow::record
