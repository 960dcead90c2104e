// A plan in words.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/job/absent_jobs.h"
#include "framework/job/plan.h"
#include "framework/job/preparations.h"
#include "framework/job/progress.h"
#include "framework/job/saved_images.h"
#include "framework/job/selected.h"

namespace tarflow::job {
namespace {

// Of `names`, those that differ between the points of one job.
std::vector<std::string> shared_names(const std::vector<std::string>& names, const Job& job) {
  std::vector<std::string> shared;
  for (const std::string& name : names) {
    if (job.points.front().settings.contains(name)) shared.push_back(name);
  }
  return shared;
}

size_t done_count(const Plan& plan, const Job& job) {
  return static_cast<size_t>(
      std::count_if(job.points.begin(), job.points.end(),
                    [&](const JobPoint& point) { return is_done(plan, point); }));
}

constexpr size_t kShownJobs = 40;    // of a plan; plan --list shows all
constexpr size_t kShownPoints = 20;  // of a job, and of a list of points

std::string and_more(size_t count, size_t shown, const char* noun) {
  return count > shown ? fmt::format("  ... and {}; plan --list lists all jobs\n",
                                     counted(count - shown, noun))
                       : "";
}

// "" for one process.
std::string processes_text(const sweep::RunSettings& run) {
  if (run.processes() == 1) return "";
  const char* where = run.gpus > 0 ? "one a GPU" : "on the CPU";
  return run.nodes == 1 ? fmt::format(" ({} processes, {})", run.processes(), where)
                        : fmt::format(" ({} processes, {}, {} on each of {} nodes)",
                                      run.processes(), where, run.processes_per_node(), run.nodes);
}

std::string describe_job(const Plan& plan, const Job& job, const Estimate& estimate,
                         const std::string& why) {
  std::string text =
      fmt::format("  job {}  {}{}\n", job.hash, job_label(plan, job), processes_text(*job.run));
  if (const std::string cost = estimate_text(estimate); !cost.empty()) text += "   " + cost + "\n";
  text += fmt::format("    why: {}\n", why);
  const std::vector<std::string> names = shared_names(plan.varying.at(job.experiment), job);
  for (size_t i = 0; i < std::min(job.points.size(), kShownPoints); ++i) {
    const JobPoint& point = job.points[i];
    text += fmt::format("    {}\n", label("point " + point.id, point.settings, names));
  }
  if (job.points.size() > 1) {
    text += fmt::format(
        "    {}these points share their work\n",
        job.points.size() > kShownPoints ? fmt::format("... {} in all; ", job.points.size()) : "");
  }
  return text;
}

// "expected on CPU: 0.034 device hours (2 min), ..." over what is to be run; `untimed`: see plan.h.
std::string totals(const Plan& plan, const std::vector<Estimate>& estimates,
                   const std::string& untimed = "") {
  double seconds = 0, bytes = 0;  // seconds: of devices
  size_t timed = 0;
  for (const Estimate& estimate : estimates) {
    seconds += estimate.seconds.value_or(0) * estimate.devices;
    bytes += estimate.bytes.value_or(0);
    timed += estimate.seconds.has_value();
  }
  if (estimates.empty()) return "";
  std::string text = fmt::format("expected on {}:", plan.runs_on);
  if (timed > 0) {
    const bool bound = std::any_of(estimates.begin(), estimates.end(),
                                   [](const Estimate& estimate) { return estimate.bound; });
    text += fmt::format(" {} {}", bound ? "at least" : "roughly", device_hours_text(seconds));
    if (timed < estimates.size())
      text += fmt::format(" and {} of which nothing is known",
                          counted(estimates.size() - timed, "job"));
  } else {
    text += untimed.empty()
                ? " times unknown, since no job of these experiments has run on it; they "
                  "are estimated once the first job has ended"
                : " " + untimed;
  }
  return text + fmt::format(", {} of results\n", bytes_text(bytes));
}

std::string describe_done(const Plan& plan) {
  std::string text = "done:\n";
  size_t shown = 0;
  for (const Job& job : plan.all) {
    const std::vector<std::string>& names = plan.varying.at(job.experiment);
    for (const JobPoint& point : job.points) {
      if (!point.selected || !is_done(plan, point)) continue;
      if (++shown > kShownPoints) continue;
      const std::string common = label(job.experiment, job.settings, names);
      text += fmt::format("  point {}  {}\n", point.id, label(common, point.settings, names));
    }
  }
  return text + and_more(shown, kShownPoints, "point");
}

// What will be to do once the missing files are there.
std::string describe_absent(const Plan& plan, Estimator& estimator) {
  if (plan.absent.empty()) return "";
  std::vector<Estimate> estimates;
  for (const Job& job : plan.absent) estimates.push_back(estimator.estimate(job));
  return fmt::format("with the missing files: {} in {}, {}",
                     counted(point_count(plan.absent), "point"), counted(plan.absent.size(), "job"),
                     totals(plan, estimates));
}

std::string describe_cannot_run(const Plan& plan) {
  std::string text = "cannot run:\n";
  size_t count = 0;
  for (const sweep::Point& point : plan.cannot_run) {
    if (!point.selected || ++count > kShownPoints) continue;
    text += fmt::format("  point {}  {}\n", point.id,
                        label(point.experiment, point.settings, plan.varying.at(point.experiment)));
  }
  text += and_more(count, kShownPoints, "point");
  text += "because:\n";
  for (const Problem& problem : plan.sweep.missing) text += problem.str() + "\n";
  return text;
}

// A line for each, and its time in the estimate of the first job that needs it.
std::string describe_preparations(const Plan& plan, const Estimator& estimator,
                                  std::vector<Estimate>& estimates) {
  std::string text;
  for (const Preparation& made : preparations(plan.pending, plan.folder / "cache", plan.device)) {
    text += made.text;
    if (const std::optional<double> seconds = estimator.seconds_of(made.flops)) {
      Estimate& estimate = estimates[made.job];
      estimate.seconds = estimate.seconds.value_or(0) + *seconds;
      estimate.bound = estimate.bound || estimate.source.empty();
      const std::string once = "what is made once";
      if (estimate.source.empty()) {
        estimate.source = once;
      } else if (!estimate.source.ends_with(once)) {
        estimate.source += ", and " + once;
      }
      text += fmt::format(", {}", duration(*seconds));
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string job_label(const Plan& plan, const Job& job) {
  const std::vector<std::string>& fields = plan.varying.at(job.experiment);
  std::string text = label(job.experiment, job.settings, fields);
  if (job.points.size() == 1) return label(text, job.points.front().settings, fields);
  return fmt::format("{}, {} points by {}", text, job.points.size(),
                     fmt::join(shared_names(fields, job), ", "));
}

std::vector<Estimate> estimates_of(const Plan& plan, Estimator& estimator, std::string& once) {
  std::vector<Estimate> estimates;
  for (const Job& job : plan.pending) estimates.push_back(estimator.estimate(job));
  once = describe_preparations(plan, estimator, estimates);
  return estimates;
}

std::string describe(const Plan& plan, Estimator& estimator,
                     const std::function<std::string(const Job&)>& why,
                     const std::string& untimed) {
  const Selected selected = selected_points(plan);
  const size_t total = point_count(plan.all) + plan.cannot_run.size();
  const size_t pending = point_count(plan.pending);
  const std::string of = selected.all ? counted(total, "point")
                                      : fmt::format("{} of {} chosen by --only", selected.total,
                                                    counted(total, "point"));
  std::string text = fmt::format("{}: {}, of which {} done", plan.sweep.name, of, selected.done);
  const size_t lacking = selected_count(plan.cannot_run);
  if (lacking > 0) text += fmt::format(", {} cannot run", lacking);
  if (plan.kept > 0) text += fmt::format(", {} in results that cannot be read", plan.kept);
  if (plan.without_images > 0) {
    text += fmt::format(", {} to be sampled again since `{}` asks for images that were not saved",
                        plan.without_images, kSaveImages);
  }
  if (selected.passed_over > 0)
    text += fmt::format(", {} left out by --retry-failed", selected.passed_over);
  text += fmt::format("\nto run: {} in {}\n", counted(pending, "point"),
                      counted(plan.pending.size(), "job"));
  std::string once;
  const std::vector<Estimate> estimates = estimates_of(plan, estimator, once);
  text += once + totals(plan, estimates, untimed) + describe_absent(plan, estimator);
  for (size_t i = 0; i < std::min(plan.pending.size(), kShownJobs); ++i) {
    text += describe_job(plan, plan.pending[i], estimates[i], why(plan.pending[i]));
  }
  text += and_more(plan.pending.size(), kShownJobs, "job");
  if (selected.done > 0) text += describe_done(plan);
  if (lacking > 0) text += describe_cannot_run(plan);
  return text;
}

std::string job_list(const Plan& plan) {
  std::string text;
  const auto line = [&](const Job& job, const char* state) {
    text += fmt::format("{}  {}  {}  {}{}\n", job.hash, state, job.points.size(),
                        job_label(plan, job), processes_text(*job.run));
  };
  for (const Job& job : plan.pending) line(job, "pending");
  const auto selected = [](const JobPoint& point) { return point.selected; };
  for (const Job& job : plan.all) {
    if (done_count(plan, job) == job.points.size() &&
        std::any_of(job.points.begin(), job.points.end(), selected)) {
      line(job, "done");
    }
  }
  for (const Job& job : plan.absent) {
    text += fmt::format("{:->{}}  cannot-run  {}  {}{}\n", "", job.hash.size(), job.points.size(),
                        job_label(plan, job), processes_text(*job.run));
  }
  return text;
}

}  // namespace tarflow::job
