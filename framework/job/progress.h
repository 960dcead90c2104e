// What the user sees while jobs run.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/json.h"

namespace tarflow::job {

// What a worker writes to progress.json: {"done", "total", "piece", "share", "phase",
// "images_per_second", "preparing", "seconds_left", "working_seconds", "done_before", "unit",
// "rate_of", "finishing", "resumable"}, all optional.
struct WorkerProgress {
  double done = 0;
  double total = 0;  // 0: unknown
  std::string phase;
  double images_per_second = 0;  // 0: unknown
  double seconds_left = 0;       // 0: unknown
  // Since it had all it needed to begin with the first image: without starting, loading the model
  // and warming up. 0: unknown.
  double working_seconds = 0;
  double done_before = 0;    // 0..1: the part of the job that earlier attempts did
  double piece = 0;          // that is under way: so many come after `done`
  double share = 0;          // 0..1: how far it is
  bool preparing = false;    // nothing of the job itself is begun yet
  std::string unit = {};     // what `done` and `total` count: "images"; "": not told
  std::string rate_of = {};  // the phase in which images_per_second was measured; "": not told
  bool finishing = false;    // all images are made; `done` and `total` are of what follows
  bool resumable = false;    // when it is told to end, it keeps what is done

  double fraction() const;  // of the job, 0..1
};

WorkerProgress worker_progress_from_json(
    const Json& json);  // what is absent or of a wrong type stays unknown

// What the worker says of its progress; nothing is known where the file is absent or damaged.
WorkerProgress read_progress(const std::filesystem::path& file);

// "0.4 s", "1:05", "2:03:04".
std::string duration(double seconds);

// "sampling 128/256 images, 35.2 images/s". Inside a piece (a chunk, of which no image is ready
// before its end) how much of the phase's work is done: "sampling 31 %, 64/256 images ready". ""
// when nothing is known.
std::string describe(const WorkerProgress& progress);

// Expected seconds until the end when `fraction` of all took `elapsed` seconds; nothing before the
// first bit is done.
std::optional<double> remaining_seconds(double elapsed, double fraction);

// The first columns of the text, without the end of what does not fit: "evaluate strat…". `width`
// counts code points.
std::string shortened(const std::string& text, size_t width);

// One line per running job and one for the sweep. On a terminal the lines are updated in place and
// as wide as the terminal; where that is narrow, the label of a job is shortened and the time so
// far left out before its progress. Elsewhere a line per job is printed after kFirstLineSeconds,
// and then every kPlainLineSeconds.
inline constexpr double kFirstLineSeconds = 20, kPlainLineSeconds = 60;
class Progress {
 public:
  // `cost` of all jobs, in any unit; what is left of it tells when the sweep ends.
  Progress(std::FILE* out, bool terminal, size_t jobs, double cost);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void start_job(const std::string& hash, const std::string& label, double cost);
  void update(const std::string& hash, const WorkerProgress& progress);
  // The job ran and is not running any more: "done", "FAILED", "stopped"; `finished` when it will
  // not run again.
  void end_job(const std::string& hash, const std::string& outcome, bool finished);
  void message(const std::string& text);  // lines that stay
  void redraw();                          // shows what was updated

 private:
  using Clock = std::chrono::steady_clock;
  struct Line {
    std::string hash, label;
    size_t number = 0;
    double cost = 0;
    WorkerProgress progress;
    Clock::time_point begin, next;  // when it began, when a line about it is due
  };

  Line* find(const std::string& hash);
  // At most `width` code points.
  std::string text(const Line& line, size_t width) const;
  std::string summary() const;
  void print(const std::string& text);
  void clear();

  std::FILE* out_;
  bool terminal_;
  size_t jobs_;
  double cost_;
  size_t finished_ = 0, failed_ = 0;
  std::map<std::string, size_t> numbers_;  // by hash
  double finished_cost_ = 0;
  std::vector<Line> lines_;
  size_t shown_ = 0;  // lines that stand on the terminal
  Clock::time_point begin_ = Clock::now();
};

}  // namespace tarflow::job
