// What a running experiment is given and what it hands back.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/worker/arrays.h"
#include "framework/core/json.h"
#include "framework/dist/communicator.h"
#include "framework/job/inputs.h"
#include "framework/job/job.h"
#include "framework/model/weights.h"
#include "framework/record/record.h"

namespace tarflow::experiments {

// The phase in which images are made: progress of it tells their rate.
inline constexpr const char* kSamplingPhase = "sampling";

// Thrown where an experiment ends because it was asked to. No error: nothing is wrong.
struct Stopped {
  std::string note;  // how far it was, and what becomes of that
};

struct JobOptions {
  bool exclusive = false;  // whoever started the job runs nothing else on its device
  std::function<bool()> stop_requested;
  std::shared_ptr<dist::Communicator> comm;  // none: one process
  std::optional<at::Device> device;          // none: what the settings name
};

class JobContext {
 public:
  // Keeps a reference to the schema, which is that of the job's experiment.
  JobContext(job::Job job, const ExperimentSchema& schema, std::filesystem::path folder,
             JobOptions options);

  const job::Job& job() const { return job_; }
  const ExperimentSchema& schema() const { return schema_; }
  const std::filesystem::path& folder() const { return folder_; }
  // Of the sweep: what later jobs need not compute again.
  std::filesystem::path cache_folder() const {
    return folder_.parent_path().parent_path() / "cache";
  }

  bool exclusive() const { return options_.exclusive; }
  // The device of this rank. Throws Error when there is none such as the settings name.
  at::Device device() const;
  // The ranks of the job. Results, progress and log lines are those of rank 0: from the others
  // set(), add(), progress() and log() do nothing.
  dist::Communicator& comm() const { return *options_.comm; }

  size_t point_count() const { return job_.points.size(); }
  std::string point_id(size_t index) const;
  // The settings all points share, or those of one point, shared ones included.
  const Json& settings() const { return settings_; }
  Json point_settings(size_t index) const;

  // SHA-256 of the content of what `field`, which may be a shared one, names as `path`; "" when the
  // job does not say.
  std::string content_of(const std::string& field, const std::string& path) const;

  // Through which whatever a setting names is opened: its content is the planned one, or the job
  // ends. Each rank proves the files that it opens, since the hosts of a network file system may
  // see different versions of a file for a while.
  job::Inputs& inputs() { return inputs_; }
  // The same for a folder that all ranks read: rank 0 proves it before the first of them begins and
  // after all have ended, which costs one look at each file instead of one a rank. `read` is called
  // on all ranks and returns on rank 0 when all have read.
  template <typename Read>
  auto read_folder(const std::string& path, const Read& read) {
    const auto begun = [&] {
      comm().barrier();
      return read();
    };
    return comm().first() ? inputs_.read(path, begun) : begun();
  }

  // Loads the job's model; throws Error when the job has none or the file does not hold what was
  // planned.
  Model load_model(const at::Device& device, ComputeType compute);

  // Results. Cells of a point's row; settings columns are added by the worker.
  void set(size_t point, const std::string& column, record::Cell value);
  void set_all(const std::string& column, const record::Cell& value);
  // What is to be known before the point's row is used: joins its column `status`, which is "ok"
  // without any, and the log.
  void add_status(size_t point, const std::string& text);
  // The array that the experiment's schema declares as `path` (declared_array).
  void add(const std::string& path, const std::vector<std::string>& names, record::Array values);

  // Whether the experiment is to end at its next boundary, throwing Stopped.
  bool stop_requested() const { return options_.stop_requested && options_.stop_requested(); }
  // Throws Stopped if so, where there is nothing to keep.
  void stop_if_requested() const;
  // Throws Stopped.
  [[noreturn]] void stop() const;

  // Says how far the job is; written to progress.json at most a few times a second. The time left
  // is estimated from the first call of a phase on. With the first call, before the first image,
  // starting is over and the job's own work begins.
  // `unit`: what `done` and `total` count, in the plural.
  void progress(const std::string& phase, int64_t done, int64_t total, double images_per_second = 0,
                const char* unit = "images");
  // The same in the middle of a piece: of the `count` that come after `done`, `share` (0 to 1) of
  // the work is done. It costs a look at the clock, so that each step of a sampling may call it.
  void progress_inside(const std::string& phase, int64_t done, int64_t total, int64_t count,
                       double share, double images_per_second = 0);
  // What is told from now on belongs to starting: guesses, statistics of a reference, warming up.
  // Until work_begins() nothing of the job counts as done, and no time left is told.
  void prepares() { preparing_ = true; }
  void work_begins() {
    preparing_ = false;
    work_start_ = last_progress_ = {};  // what is told next begins the work
  }
  // What is told from now on comes after the last image, so that the job counts as nearly done.
  void images_are_made() { finishing_ = true; }
  // Whether a job that is stopped goes on from where it was, for whoever decides what to stop.
  void set_resumable(bool resumable) { resumable_ = resumable; }
  // A line in the job's log.
  void log(const std::string& line);

  const std::vector<record::Row>& rows() const { return rows_; }
  std::vector<record::Array>& arrays() { return arrays_; }
  // Joins environment.json.
  Json& environment() { return environment_; }

 private:
  using Clock = std::chrono::steady_clock;

  // Whether progress of this phase may be told now; a phase's first always may.
  bool may_tell(const std::string& phase, bool complete);
  void tell(int64_t done, int64_t total, int64_t count, double share, double images_per_second,
            const char* unit);

  job::Job job_;
  const ExperimentSchema& schema_;
  Json settings_;
  std::filesystem::path folder_;
  JobOptions options_;
  job::Inputs inputs_;
  std::vector<record::Row> rows_;
  std::vector<record::Array> arrays_;
  Json environment_ = Json::object();

  std::string phase_;
  Clock::time_point phase_start_{}, last_progress_{};
  Clock::time_point work_start_{};
  bool preparing_ = false;
  double rate_ = 0;      // images per second, as last told
  std::string rate_of_;  // the phase that told it
  bool finishing_ = false;
  double done_before_ = 0;   // the part of the job that earlier attempts did
  double phase_first_ = -1;  // done when the phase started; -1: not told yet
  int64_t updates_ = 0;
  bool resumable_ = false;
};

// Seconds on a wall clock, the device's queue drained at both ends.
class Stopwatch {
 public:
  explicit Stopwatch(const at::Device& device);
  double seconds() const;  // since construction

 private:
  at::Device device_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace tarflow::experiments
