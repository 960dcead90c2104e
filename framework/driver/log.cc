// run_sweep log: the log of one job.
#include <fmt/format.h>

#include <set>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/driver/look.h"
#include "framework/job/job_folder.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

// The log of the job that computed, or is to compute, the point (or job) whose id begins with
// `wanted`. Throws Error when there is none or more than one.
fs::path find_log(const job::Plan& plan, const std::string& wanted) {
  std::set<fs::path> logs;
  for (const job::Jobs* jobs : {&plan.all, &plan.pending}) {
    for (const job::Job& job : *jobs) {
      const bool fits = job.hash.starts_with(wanted);
      for (const job::JobPoint& point : job.points) {
        if (!fits && !point.id.starts_with(wanted)) continue;
        const auto done = plan.done.by_key.find(point.key);
        const fs::path folder = done == plan.done.by_key.end() ? plan.jobs_folder() / job.hash
                                                               : done->second.result.parent_path();
        std::error_code ignored;
        if (fs::exists(job::JobFolder{folder}.log(), ignored))
          logs.insert(job::JobFolder{folder}.log());
      }
    }
  }
  if (logs.size() == 1) return *logs.begin();
  if (logs.empty()) {
    throw Error(
        fmt::format("no job has run whose id, or a point of which, begins with `{}`", wanted),
        "plan --list prints the jobs, plan their points");
  }
  throw Error(fmt::format("{} jobs begin with `{}`", logs.size(), wanted), "state more of the id");
}

}  // namespace

int show_log(const Look& look) {
  return print(read_file(find_log(look.plan(), look.options().point)));
}

}  // namespace tarflow::driver
