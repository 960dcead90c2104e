// results/<sweep>/jobs/<hash>/: what is on disk of each job.
#pragma once

#include <filesystem>
#include "framework/schedule/job.h"
#include "framework/schedule/progress.h"

namespace tarflow::schedule {

struct JobFolder {
  std::filesystem::path path;

  std::filesystem::path job() const { return path / "job.json"; }
  std::filesystem::path result() const { return path / "result.h5"; }
  std::filesystem::path log() const { return path / "log.txt"; }
  std::filesystem::path attempts() const { return path / "attempts.jsonl"; }
  std::filesystem::path progress() const { return path / "progress.json"; }
  std::filesystem::path previous() const { return path / "previous.h5"; }  // while forced anew
};

// What the worker says of its progress; nothing is known where the file is absent or damaged.
WorkerProgress read_progress(const std::filesystem::path& file);

// Throws Error unless the folder has a whole result of `job` with all its points.
void check_result(const JobFolder& folder, const Job& job);

}  // namespace tarflow::schedule
