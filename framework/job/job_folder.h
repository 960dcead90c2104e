// results/<sweep>/jobs/<hash>/: what is on disk of each job.
#pragma once

#include <filesystem>

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

}  // namespace tarflow::job
