#include "framework/driver/look.h"

#include <fmt/format.h>

#include <cstdio>

#include "framework/core/error.h"
#include "framework/driver/slurm_run.h"
#include "framework/job/owner.h"

namespace tarflow::driver {
namespace fs = std::filesystem;

int print(const std::string& text) {
  fmt::print("{}", text);
  std::fflush(stdout);
  return kAllDone;
}

int print_json(const Json& value) {
  // Names of files and logs may hold any bytes.
  return print(value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Look::Look(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options)
    : sweep_(std::move(sweep)),
      schemas_(schemas),
      options_(options),
      profile_(profile_of(options)),
      name_(options.smoke ? job::smoke_name(sweep_.name) : sweep_.name),
      folder_(options.results / name_) {
  if (!options.smoke) return;
  smoke_ = job::make_smoke(sweep_, schemas_, folder_, stand_in_on(profile_), job::Writes::kNo);
  sweep_ = std::move(smoke_->sweep);
  smoke_->sweep.name = sweep_.name;
  smoke_note_ = smoke_->replaced;
}

void Look::require_owner(bool deletes) const {
  if (options_.adopt) return;
  job::require_owner(
      folder_, sweep_.file, [&] { return job::points_digest(plan().all); }, deletes);
}

job::PlanOptions Look::plan_options() const {
  job::PlanOptions plan = driver::plan_options(options_, profile_, smoke_note_);
  if (smoke_) plan.to_be_made = smoke_->unwritten;
  return plan;
}

job::Plan Look::plan() const {
  job::JobStore store(folder_);
  job::Plan plan = job::make_plan(sweep_, schemas_, plan_options(), store, complain);
  store.save();
  for (const job::BadResult& bad : plan.done.damaged) {
    Problem problem = bad.problem;
    problem.repair = "the next run keeps it under another name and computes its points again";
    complain(problem.str());
  }
  for (const job::BadResult& bad : plan.done.kept) complain(bad.problem.str());
  return plan;
}

int look_at(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options) {
  const Action action = options.action;
  const bool needs_results =
      action == Action::kCancel || action == Action::kLog || action == Action::kClean;
  const std::string smoke_name = job::smoke_name(sweep.name);
  if (options.smoke && needs_results && !fs::exists(options.results / smoke_name)) {
    complain(fmt::format("{}: no smoke run of this sweep was started here", smoke_name));
    return kNotAllDone;
  }
  const Look look(std::move(sweep), schemas, options);
  look.require_owner(action == Action::kClean);
  switch (action) {
    case Action::kPlan:
      return plan_sweep(look);
    case Action::kStatus:
      return show_status(look);
    case Action::kWatch:
      return watch_sweep(look);
    case Action::kLog:
      return show_log(look);
    case Action::kCancel:
      return cancel_sweep(look);
    case Action::kClean:
      return clean_sweep(look);
    default:
      break;
  }
  return kBadInput;
}

}  // namespace tarflow::driver
