// What run_sweep does with its arguments.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/sweep/sweep.h"

namespace tarflow::driver {

// Exit statuses of run_sweep.
inline constexpr int kAllDone = 0;
inline constexpr int kNotAllDone = 1;  // something failed or cannot run
inline constexpr int kBadInput = 2;
inline constexpr int kHeld = 3;           // another run_sweep is at work on the sweep
inline constexpr int kInterrupted = 130;  // as shells have it for Ctrl-C

// What is done with a sweep: a subcommand each.
enum class Action {
  kRun,
  kPlan,         // say what would run, and why
  kStatus,       // how far it is
  kWatch,        // the same again and again
  kLog,          // of one job
  kCancel,       // stop the run_sweep that is at work, and what a cluster has
  kClean,        // delete job folders that no point of the sweep uses
  kCheck,        // ask a cluster about its profile; no sweep is needed
  kSchema,       // of sweep files; no sweep is needed
  kClusterTask,  // the jobs of one task of a job array
};

struct RunOptions {
  std::vector<std::filesystem::path> files;  // sweeps, one after another
  std::filesystem::path results = "results";
  // The folder with run_job and analyze; the share folder is found from it.
  std::filesystem::path programs;
  Action action = Action::kRun;
  bool smoke = false;   // see smoke.h
  bool tables = false;  // print all tables at the end instead of the answer in short
  std::vector<std::string> set, only;
  bool force = false, retry_failed = false;
  bool adopt = false;   // results that belong to another sweep file of the same name: see owner.h
  std::string cluster;  // name or file of a profile, "none": this machine, "": the user's own
  std::filesystem::path config_folder;  // of the user, with cluster profiles; "": not looked into
  std::filesystem::path site_folder;    // of the site, likewise
  bool wait = false;                    // for jobs on a cluster
  bool json = false;                    // for kPlan, kStatus, kLog: one line of JSON per sweep
  bool list = false;                    // for kPlan: one line per job
  bool follow = false;                  // for kLog: until the attempt ends
  std::string point;       // for kLog: the id of a point or job, or how it begins; "": see log.cc
  bool yes = false;        // for kClean: do not ask
  bool set_calls = false;  // for kClean: delete also what calls with --set computed
  std::filesystem::path cluster_task;  // a submission's folder: see slurm/task.h
  std::string command;                 // as it was typed, for whoever finds the folder taken
};

// Runs what of one sweep is not done: the answer goes to stdout, progress and complaints to stderr.
// Returns the exit status. Throws Error for bad input, before anything runs; LeaseHeld where
// another run_sweep is at work. `file_alone` is the same sweep without --set: the record keeps its
// results beside those of this call.
int run_sweep(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options,
              std::optional<sweep::Sweep> file_alone = std::nullopt);

}  // namespace tarflow::driver
