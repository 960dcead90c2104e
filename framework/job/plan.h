// A sweep made ready to run: its jobs, what of them is done, and what cannot run.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "framework/job/content.h"
#include "framework/job/device.h"
#include "framework/job/estimate.h"
#include "framework/job/job.h"
#include "framework/job/store.h"
#include "framework/sweep/sweep.h"

namespace tarflow::job {

struct PlanOptions {
  std::filesystem::path results;
  SharedJson smoke;           // what goes into the jobs; null without --smoke
  bool force = false;         // selected points are computed again though they are done
  bool retry_failed = false;  // only jobs whose last attempt failed
  std::optional<DeviceModels> devices = {};  // that jobs run on; nothing: this machine's
  // What the device is called, and kept times belong to, where its model is not known; "": the
  // first of `devices`.
  std::string runs_on = {};
  // Files that are absent and will be made before jobs run, each with what stands for its content:
  // Smoke::unwritten.
  std::map<std::filesystem::path, std::string> to_be_made = {};
};

struct Plan {
  sweep::Sweep sweep;
  std::filesystem::path folder;  // results/<sweep>
  std::string device;            // model of the device that jobs run on
  std::string runs_on;           // the same in messages and for times: see PlanOptions::runs_on
  Jobs all;                      // every runnable point
  // With --set: the jobs of the sweep file as it stands, whose results the record keeps beside
  // those of `all`, and the ids of its points. Filled by who runs the plan.
  Jobs of_file;
  std::vector<std::string> file_order;
  DonePoints done;            // of `all`
  Jobs pending;               // what is to be run
  size_t without_images = 0;  // points of `pending` that are done, but for their image files
  size_t kept = 0;            // selected points that are not run: see DonePoints::kept
  // Points that need an absent file; sweep.missing says which.
  std::vector<sweep::Point> cannot_run;
  Jobs absent;  // what the selected ones of these would run as; see absent_jobs()
  // By experiment: fields in which points differ.
  std::map<std::string, std::vector<std::string>> varying;

  std::filesystem::path jobs_folder() const { return folder / "jobs"; }
  std::filesystem::path record() const;  // results/<sweep>.h5
  std::filesystem::path cache() const { return folder.parent_path() / ".cache"; }
};

// `store` is of the sweep's folder; `notice` is called before much is read. Throws Error.
Plan make_plan(sweep::Sweep sweep, const ExperimentSchemas& schemas, const PlanOptions& options,
               JobStore& store, const std::function<void(const std::string&)>& notice);

// The jobs of those points alone whose ids are among `ids`, and of the makers of files; of all
// points without `ids`. It is not looked for what of them is done. Files that no other points name
// are not read.
Jobs jobs_of(sweep::Sweep sweep, const std::optional<std::unordered_set<std::string>>& ids,
             const ExperimentSchemas& schemas, const PlanOptions& options,
             const std::function<void(const std::string&)>& notice);

bool is_done(const Plan& plan, const JobPoint& point);
JobFolder folder_of(const Plan& plan, const Job& job);

// "evaluate model=cifar10 strategy=For cfg=0, 2 points by self_denoising_lr".
std::string job_label(const Plan& plan, const Job& job);

// What `run_sweep plan` and `run_sweep plan --list` print. `why` says in words why a pending job
// runs; `untimed` is told in the place of the total time where no job's time is known.
std::string describe(const Plan& plan, Estimator& estimator,
                     const std::function<std::string(const Job&)>& why,
                     const std::string& untimed = "");
// A line per job with a selected point: "hash  done|pending  points  label", and "(8 processes, one
// a GPU)" where there are several. Jobs that cannot run come last, with dashes for the hash, which
// depends on their files: "---  cannot-run  points  label".
std::string job_list(const Plan& plan);

// The estimates of plan.pending, in its order, with what is made once for several jobs in that of
// the first which needs it; `once` gets a line for each such thing.
std::vector<Estimate> estimates_of(const Plan& plan, Estimator& estimator, std::string& once);

std::string counted(size_t count, const char* noun);  // "1 point", "2 points"
size_t point_count(const Jobs& jobs);

}  // namespace tarflow::job
