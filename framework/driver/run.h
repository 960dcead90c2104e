// What run_sweep does with its arguments.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tarflow::driver {

// Exit statuses of run_sweep.
inline constexpr int kAllDone = 0;
inline constexpr int kNotAllDone = 1;  // something failed or cannot run
inline constexpr int kBadInput = 2;
inline constexpr int kHeld = 3;           // another run_sweep is at work on the sweep
inline constexpr int kInterrupted = 130;  // as shells have it for Ctrl-C

enum class Action {
  kRun,
  kDryRun,    // say what would be done
  kListJobs,  // one line a job
  kStatus,    // how far it is
  kWatch,     // the same again and again
  kLog,       // of one job
  kCancel,    // stop the run_sweep that is at work
  kClean,     // remove job folders that no point of the sweep uses
};

struct RunOptions {
  std::vector<std::filesystem::path> files;  // sweeps, run one after another
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
  std::string point;                    // for kLog: the id of a point or job, or how it begins
  bool yes = false;                     // for kClean: do not ask
  std::filesystem::path cluster_task;   // a submission's folder: see slurm_task.h
  std::string command;                  // as it was typed, for whoever finds the folder taken
};

// Runs the sweeps: answers go to stdout, progress and complaints to stderr. Returns the exit
// status. Throws Error for bad input, before anything runs.
int run_sweeps(const RunOptions& options);

}  // namespace tarflow::driver
