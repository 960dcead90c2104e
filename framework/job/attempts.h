// attempts.jsonl of a job's folder: a line when an attempt starts and one when it ends.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "framework/core/json.h"

namespace tarflow::job {

// How an attempt ended; "" while it runs, or when whoever ran it was killed.
struct Attempt {
  int number = 0;
  std::string start, end, host;
  int64_t pid = 0;
  std::string place;    // on a cluster, the task that ran it: "123_4"; "" elsewhere
  std::string outcome;  // "done", "failed", "stopped", "time limit"
  std::string reason;   // why it is not done
  double seconds = 0;
};

struct Attempts {
  int count = 0;
  std::optional<Attempt> last;

  bool failed() const {
    return last && (last->outcome == "failed" || last->outcome == "time limit");
  }
};

// Seconds before a job is tried again that was tried again `tries` times before: `first` doubles.
double pause_before_retry(double first, int64_t tries);

// Lines that are damaged (the last one of a killed driver, say) are passed over.
Attempts read_attempts(const std::filesystem::path& file);

// Throws Error when the file cannot be written.
void append_line(const std::filesystem::path& file, const std::string& line);
void append_start(const std::filesystem::path& file, const Attempt& attempt);
void append_end(const std::filesystem::path& file, const Attempt& attempt, int exit_code,
                int signal);

}  // namespace tarflow::job
