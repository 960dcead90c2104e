// run_sweep plan: what would run, without running it.
#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/local/pool.h"

namespace tarflow::driver {

int plan_sweep(const Look& look) {
  if (look.options().list) return print(job::job_list(look.plan()));
  if (look.smoke()) print(job::smoke_banner(*look.smoke(), look.options().results));
  const job::Plan plan = look.plan();
  job::Estimator estimator(look.schemas(), plan.device, plan.cache());
  if (!plan.pending.empty() && !estimator.knows_device()) {
    estimator.set_device_rate(
        job::measured_rate(look.options().programs / "run_job", plan.device, plan.cache()));
  }
  print(describe(plan, estimator));
  if (look.smoke() && !plan.pending.empty()) {
    print(fmt::format("this smoke run {}\n",
                      job::smoke_time_text(plan.pending, look.schemas(), on_cpu(look.profile()))));
  }
  if (look.profile().slurm()) {
    return print(dry_run_on_slurm(plan, look.schemas(), look.options(), look.profile(), estimator));
  }
  const local::Machine machine = local::this_machine();
  for (const std::string& note : machine.notes) complain(note);
  for (const Problem& problem : local::beyond(machine, plan.pending)) complain(problem.str());
  return kAllDone;
}

}  // namespace tarflow::driver
