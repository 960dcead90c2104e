// A sweep made ready to run: its jobs, what of them is done, and what cannot run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/schedule/content.h"
#include "framework/schedule/job.h"
#include "framework/schedule/job_folder.h"
#include "framework/sweep/sweep.h"

namespace tarflow::schedule {

struct Plan {
  sweep::Sweep sweep;
  std::filesystem::path folder;  // results/<sweep>
  std::vector<Job> all;          // every runnable point
  DonePoints done;               // of `all`
  std::vector<Job> pending;      // `all` without what is done
  std::vector<sweep::Point>
      cannot_run;  // points that need an absent file; sweep.missing says which
  std::map<std::string, std::vector<std::string>>
      varying;  // by experiment: fields in which points differ

  std::filesystem::path jobs_folder() const { return folder / "jobs"; }
  std::filesystem::path record() const;  // results/<sweep>.h5
};

// `smoke` is what goes into the jobs, null without --smoke.
Plan make_plan(sweep::Sweep sweep, const ExperimentSchemas& schemas,
               const std::filesystem::path& results, ContentHasher& hasher, const Json& smoke);

// "evaluate model=cifar10 strategy=For cfg=0, 2 points by self_denoising_lr".
std::string job_label(const Plan& plan, const Job& job);

// What --dry-run and --list-jobs print.
std::string describe(const Plan& plan);
std::string job_list(const Plan& plan);  // "hash  done|pending  points  label" a line

}  // namespace tarflow::schedule
