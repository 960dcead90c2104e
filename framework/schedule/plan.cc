#include "framework/schedule/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/schedule/device.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

bool files_present(const sweep::Sweep& sweep, const ExperimentSchema& schema,
                   const sweep::Settings& settings) {
  for (const Field& field : schema.fields) {
    const Json* value = settings.find(field.name);
    if (!value) continue;
    std::error_code ignored;
    if (field.type == FieldType::kModel && !sweep.models.at(value->get<std::string>()).present)
      return false;
    if (field.type == FieldType::kPath && !fs::exists(value->get<std::string>(), ignored))
      return false;
  }
  return true;
}

// Starting nvidia-smi costs a moment, so only when the answer counts.
std::string device_for(const sweep::Sweep& sweep, const ExperimentSchemas& schemas) {
  const bool timed = std::any_of(
      sweep.points.begin(), sweep.points.end(),
      [&](const sweep::Point& point) { return schema_of(schemas, point.experiment).timed; });
  return timed ? device_model() : "";
}

std::string counted(size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// Of `names`, those that differ between the points of one job.
std::vector<std::string> shared_names(const std::vector<std::string>& names, const Job& job) {
  std::vector<std::string> shared;
  for (const std::string& name : names) {
    if (job.points.front().settings.contains(name)) shared.push_back(name);
  }
  return shared;
}

size_t point_count(const std::vector<Job>& jobs) {
  size_t count = 0;
  for (const Job& job : jobs) count += job.points.size();
  return count;
}

bool is_done(const Plan& plan, const JobPoint& point) {
  return plan.done.by_key.contains(point.key);
}

size_t done_count(const Plan& plan, const Job& job) {
  return static_cast<size_t>(
      std::count_if(job.points.begin(), job.points.end(),
                    [&](const JobPoint& point) { return is_done(plan, point); }));
}

std::string describe_job(const Plan& plan, const Job& job) {
  std::string text = fmt::format("  job {}  {}\n", job.hash, job_label(plan, job));
  const std::vector<std::string> names = shared_names(plan.varying.at(job.experiment), job);
  for (const JobPoint& point : job.points) {
    text += fmt::format("    {}\n", label("point " + point.id, point.settings, names));
  }
  if (job.points.size() > 1) text += "    these points share their work\n";
  return text;
}

}  // namespace

fs::path Plan::record() const { return folder.parent_path() / (sweep.name + ".h5"); }

Plan make_plan(sweep::Sweep sweep, const ExperimentSchemas& schemas, const fs::path& results,
               ContentHasher& hasher, const Json& smoke) {
  Plan plan;
  plan.folder = results / sweep.name;
  for (const ExperimentSchema& schema : schemas) {
    plan.varying[schema.name] = varying_fields(sweep.points, schema);
  }
  std::vector<sweep::Point> runnable;
  for (sweep::Point& point : sweep.points) {
    const bool present = files_present(sweep, schema_of(schemas, point.experiment), point.settings);
    (present ? runnable : plan.cannot_run).push_back(std::move(point));
  }
  sweep.points = std::move(runnable);
  plan.sweep = std::move(sweep);
  plan.all = plan_jobs(plan.sweep, schemas, device_for(plan.sweep, schemas), hasher);
  for (Job& job : plan.all) job.smoke = smoke;
  plan.done = find_done(plan.jobs_folder(), plan.all, hasher);
  std::set<std::string> done_keys;
  for (const auto& [key, point] : plan.done.by_key) done_keys.insert(key);
  plan.pending = without_done(plan.all, done_keys);
  return plan;
}

std::string job_label(const Plan& plan, const Job& job) {
  const std::vector<std::string>& fields = plan.varying.at(job.experiment);
  std::string text = label(job.experiment, job.settings, fields);
  if (job.points.size() == 1) return label(text, job.points.front().settings, fields);
  return fmt::format("{}, {} points by {}", text, job.points.size(),
                     fmt::join(shared_names(fields, job), ", "));
}

std::string describe(const Plan& plan) {
  const size_t total = point_count(plan.all) + plan.cannot_run.size();
  const size_t pending = point_count(plan.pending);
  std::string text = fmt::format("{}: {}, of which {} done", plan.sweep.name,
                                 counted(total, "point"), plan.done.by_key.size());
  if (!plan.cannot_run.empty()) text += fmt::format(", {} cannot run", plan.cannot_run.size());
  text += fmt::format("\nto run: {} in {}\n", counted(pending, "point"),
                      counted(plan.pending.size(), "job"));
  for (const Job& job : plan.pending) text += describe_job(plan, job);
  if (!plan.done.by_key.empty()) text += "done:\n";
  for (const Job& job : plan.all) {
    const std::vector<std::string>& names = plan.varying.at(job.experiment);
    for (const JobPoint& point : job.points) {
      if (!is_done(plan, point)) continue;
      const std::string common = label(job.experiment, job.settings, names);
      text += fmt::format("  point {}  {}\n", point.id, label(common, point.settings, names));
    }
  }
  if (plan.cannot_run.empty()) return text;
  text += "cannot run:\n";
  for (const sweep::Point& point : plan.cannot_run) {
    text += fmt::format("  point {}  {}\n", point.id,
                        label(point.experiment, point.settings, plan.varying.at(point.experiment)));
  }
  text += "because:\n";
  for (const Problem& problem : plan.sweep.missing) text += problem.str() + "\n";
  return text;
}

std::string job_list(const Plan& plan) {
  std::string text;
  const auto line = [&](const Job& job, const char* state) {
    text +=
        fmt::format("{}  {}  {}  {}\n", job.hash, state, job.points.size(), job_label(plan, job));
  };
  for (const Job& job : plan.pending) line(job, "pending");
  for (const Job& job : plan.all) {
    if (done_count(plan, job) == job.points.size()) line(job, "done");
  }
  return text;
}

}  // namespace tarflow::schedule
