// The one file format of jobs and sweeps (record.h), as its parts: the envelope and the tables of
// many files are read without their arrays, and a merge copies one job at a time.
#pragma once

#include <fmt/format.h>
#include <hdf5.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/record/fault.h"
#include "framework/record/hdf5.h"
#include "framework/record/links.h"
#include "framework/record/record.h"
#include "framework/record/table.h"

namespace tarflow::record {

inline constexpr const char* kJobsGroup = "jobs";
inline constexpr const char* kJobText = "job.json";
inline constexpr const char* kEnvironmentText = "environment.json";

// Runs `action`; what it throws is said to be about `file`.
template <typename Action>
auto about(const std::filesystem::path& file, const char* verb, const Action& action) {
  const QuietHdf5 quiet;
  try {
    return action();
  } catch (const NotRead&) {  // names the file, and its kind matters
    throw;
  } catch (const Error& failure) {
    Problem problem = failure.problems().front();
    if (problem.what.find(file.string()) == std::string::npos) {
      problem.what = fmt::format("cannot {} {}: {}", verb, file.string(), problem.what);
    }
    throw Error(problem);
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("cannot {} {}: {}", verb, file.string(), failure.what()));
  }
}

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
  uint64_t bytes = 0;  // of its HDF5 part
  PackedRows rows;
  int64_t generation = 0;  // of a job: job.json's, 0 when it has none
};

// Columns and rows of an open file.
FileContent read_content(hid_t file);
// Columns and rows alone. Checks the whole file.
FileContent read_table(const std::filesystem::path& file);
// `known_sha256`: of the content as it was determined before, while the file has been as it is now.
// A file whose envelope states the same is not read and checked again. "": it is checked.
FileHead read_head(const std::filesystem::path& file, KnownColumns& known,
                   const std::string& known_sha256 = "");
// All jobs of a file, arrays and all.
std::pair<FileContent, std::vector<JobRecord>> read_whole(const std::filesystem::path& file);

// Makes a file of this kind and name. `fill` writes /columns and /points into the file it is given
// and the jobs, sorted by hash, into the group. `merged` as in Envelope.
using Fill = std::function<void(hid_t file, hid_t jobs)>;
void write_record(const std::filesystem::path& file, const std::string& kind,
                  const std::string& name, const std::string& merged, const Fill& fill);
// Changes a record: `change` works on a copy of the file, which then takes its place. `file` is
// whole, and of this version. Throws Error, before `change` is called, when the content of the file
// is not the one of `sha256`.
void change_record(const std::filesystem::path& file, const std::string& sha256,
                   const std::string& merged, const Fill& change);
void remove_member(hid_t group, const std::string& name);  // nothing where there is none
void write_job_group(hid_t jobs, const JobRecord& job);
// A job of an open file, arrays and all, without columns and rows. `linked` as in array.h.
JobRecord read_job_group(hid_t jobs, const std::string& hash, const OpenLinked& linked);

}  // namespace tarflow::record
