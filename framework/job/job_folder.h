// results/<sweep>/jobs/<hash>/: what is on disk of each job.
#pragma once

#include <cstdint>
#include <filesystem>

#include "framework/core/error.h"
#include "framework/job/job.h"
#include "framework/job/progress.h"

namespace tarflow::job {

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

// What stands in the place of a job's result.
struct FoundResult {
  enum class State {
    kAbsent,
    kWhole,
    kDamaged,  // or of another job, or without all of its points: to be set aside
    kKept,     // it cannot be read now, or is of a newer version: nothing may be written over it
  };
  State state = State::kAbsent;
  int64_t generation = 0;  // of a whole one
  Problem problem = {};    // of a damaged or kept one
};

// Reads the whole file. Changes nothing.
FoundResult find_result(const JobFolder& folder, const Job& job);

// Of a result that is neither read nor written over: what is wrong, and what the user can do.
Problem kept_problem(const Error& failure);

}  // namespace tarflow::job
