// run_sweep plan: what would run and why, without running it.
#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/driver/check.h"
#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/job/absent_jobs.h"
#include "framework/job/selected.h"
#include "framework/job/why.h"
#include "framework/local/pool.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::driver {
namespace {

Json number_or_null(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

Json job_json(const job::Plan& plan, const job::Job& job, const job::Estimate& estimate,
              const std::vector<job::Why>& whys) {
  Json points = Json::array(), reasons = Json::array();
  for (const job::JobPoint& point : job.points) {
    points.push_back({{"point", point.id}, {"settings", point.settings.json()}});
  }
  for (const job::Why& why : whys) {
    reasons.push_back({{"reason", why.reason}, {"text", why.text}, {"points", why.points}});
  }
  return {{"job", job.hash},
          {"experiment", job.experiment},
          {"label", job::job_label(plan, job)},
          {"settings", job.settings.json()},
          {"points", std::move(points)},
          {"why", std::move(reasons)},
          {"processes", job.run->processes()},
          {"seconds", number_or_null(estimate.seconds)},
          {"at_least", estimate.bound},
          {"bytes", number_or_null(estimate.bytes)}};
}

Json done_json(const job::Plan& plan) {
  Json done = Json::array();
  for (const job::Job& job : plan.all) {
    for (const job::JobPoint& point : job.points) {
      const auto found = plan.done.by_key.find(point.key);
      if (!point.selected || found == plan.done.by_key.end()) continue;
      done.push_back({{"point", point.id}, {"job", found->second.job}});
    }
  }
  return done;
}

Json cannot_run_json(const job::Plan& plan) {
  Json points = Json::array();
  for (const sweep::Point& point : plan.cannot_run) {
    if (!point.selected) continue;
    points.push_back({{"point", point.id},
                      {"experiment", point.experiment},
                      {"settings", point.settings.json()}});
  }
  return points;
}

// Counts and lists are of the points that --only chooses, which `only` says.
Json plan_json(const Look& look, const job::Plan& plan, job::Estimator& estimator,
               job::WhyRun& why) {
  std::string once;
  const std::vector<job::Estimate> estimates = estimates_of(plan, estimator, once);
  const job::Selected selected = selected_points(plan);
  Json jobs = Json::array(), missing = Json::array();
  for (size_t i = 0; i < plan.pending.size(); ++i) {
    jobs.push_back(job_json(plan, plan.pending[i], estimates[i], why.of(plan.pending[i])));
  }
  for (const Problem& problem : plan.sweep.missing) missing.push_back(problem.str());
  return {{"version", kJsonVersion},
          {"sweep", plan.sweep.name},
          {"file", plan.sweep.file.string()},
          {"results", plan.folder.string()},
          {"record", plan.record().string()},
          {"device", plan.device},
          {"cluster", look.profile().queued() ? Json(look.profile().name) : Json()},
          {"smoke", look.smoke() ? look.smoke()->replaced : Json()},
          {"only", look.options().only},
          {"retry_failed", look.options().retry_failed},
          {"points",
           {{"total", selected.total},
            {"done", selected.done},
            {"to_run", job::point_count(plan.pending)},
            {"left_out", selected.left_out},
            {"kept", plan.kept},
            {"cannot_run", job::selected_count(plan.cannot_run)}}},
          {"jobs", std::move(jobs)},
          {"done", done_json(plan)},
          {"cannot_run", cannot_run_json(plan)},
          {"missing", std::move(missing)}};
}

// What of this machine, or of the cluster's nodes, the jobs would not have.
void say_what_is_beyond(const job::Plan& plan, const slurm::ClusterProfile& profile) {
  if (profile.queued()) {
    for (const Problem& problem : slurm::beyond_nodes(profile, plan.pending)) {
      complain(problem.str());
    }
    return;
  }
  const local::Machine machine = local::this_machine();
  for (const std::string& note : machine.notes) complain(note);
  for (const Problem& problem : local::beyond(machine, plan.pending)) complain(problem.str());
}

// Standard output has the lines of the jobs alone, for programs.
int list_jobs(const Look& look) {
  const job::Plan plan = look.plan();
  if (!plan.absent.empty()) {
    for (const Problem& problem : plan.sweep.missing) complain(problem.str());
  }
  if (!plan.pending.empty()) note_example(look.profile(), look.options());
  return print(job::job_list(plan));
}

}  // namespace

int plan_sweep(const Look& look) {
  const RunOptions& options = look.options();
  if (options.list) return list_jobs(look);
  if (look.smoke() && !options.json) print(job::smoke_banner(*look.smoke(), options.results));
  const job::Plan plan = look.plan();
  job::Estimator estimator(look.schemas(), plan.runs_on, plan.cache());
  // A smoke run has a time of its own, which is not that of its arithmetic.
  const bool timed = !look.smoke() || options.json;
  if (timed && !(plan.pending.empty() && plan.absent.empty()) && !estimator.knows_device()) {
    const bool here = !look.profile().queued() || plan.runs_on == job::device_model();
    estimator.set_device_rate(
        job::measured_rate(options.programs / "run_job", plan.runs_on, here, plan.cache()));
  }
  job::WhyRun why(plan, look.schemas(), options.force);
  if (options.json) {
    say_what_is_beyond(plan, look.profile());
    return print_json(plan_json(look, plan, estimator, why));
  }
  if (!plan.pending.empty()) note_example(look.profile(), options);
  std::string untimed;
  if (look.smoke()) {
    untimed = "this smoke run " +
              job::smoke_time_text(plan.pending, look.schemas(), on_cpu(look.profile()));
  }
  print(describe(
      plan, estimator, [&](const job::Job& job) { return why_text(why.of(job)); }, untimed));
  say_what_is_beyond(plan, look.profile());
  if (!look.profile().queued()) return kAllDone;
  return print(dry_run_on_slurm(plan, look.schemas(), options, look.profile(), estimator));
}

}  // namespace tarflow::driver
