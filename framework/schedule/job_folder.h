// results/<sweep>/jobs/<hash>/: what is on disk of each job, and which points are done.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/record/record.h"
#include "framework/schedule/content.h"
#include "framework/schedule/job.h"

namespace tarflow::schedule {

struct JobFolder {
  std::filesystem::path path;

  std::filesystem::path job() const { return path / "job.json"; }
  std::filesystem::path result() const { return path / "result.h5"; }
  std::filesystem::path log() const { return path / "log.txt"; }
  std::filesystem::path attempts() const { return path / "attempts.jsonl"; }
  std::filesystem::path progress() const { return path / "progress.json"; }
};

// A point that was computed: its row in a job's result.
struct DonePoint {
  std::string id;
  std::filesystem::path result;
};

struct DonePoints {
  std::map<std::string, DonePoint> by_key;
  std::vector<Problem> problems;  // results that are damaged and have to be computed again
};

// Looks through all folders below `jobs_folder` for the points of `jobs`. Folders that are half
// written, of other points or not jobs at all are passed over.
DonePoints find_done(const std::filesystem::path& jobs_folder, const std::vector<Job>& jobs,
                     ContentHasher& hasher);

// Throws Error unless the folder has a whole result of `job` with all its points.
void check_result(const JobFolder& folder, const Job& job);

// What a merge has to take for `points`.
std::vector<record::JobFile> files_to_merge(const std::vector<DonePoint>& points);

}  // namespace tarflow::schedule
