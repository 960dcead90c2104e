#include "framework/job/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "framework/job/absent_jobs.h"
#include "framework/job/attempts.h"
#include "framework/job/device.h"
#include "framework/job/file_facts.h"
#include "framework/job/preparations.h"
#include "framework/job/progress.h"
#include "framework/job/saved_images.h"
#include "framework/job/selected.h"
#include "framework/job/store.h"
#include "framework/sweep/made_files.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

// Whether the files that points need are there; each is looked for once.
class Presence {
 public:
  explicit Presence(const sweep::Sweep& sweep) {
    for (const auto& [name, model] : sweep.models) {
      models_[name] = model.present;
      if (model.trained) trained_[model.checkpoint.string()].push_back(name);
    }
  }

  // A file that will be.
  void add(const fs::path& path) {
    paths_[path.string()] = true;
    const auto models = trained_.find(path.string());
    if (models == trained_.end()) return;
    for (const std::string& name : models->second) models_[name] = true;
  }

  bool of(const ExperimentSchema& schema, const sweep::Settings& settings) {
    for (const Field& field : schema.fields) {
      if (field.type != FieldType::kModel && field.type != FieldType::kPath) continue;
      const Json* value = settings.find(field.name);
      if (value && !of(field, value->get_ref<const std::string&>())) return false;
    }
    return true;
  }

 private:
  bool of(const Field& field, const std::string& text) {
    if (field.type == FieldType::kModel) return models_.at(text);
    const auto [entry, fresh] = paths_.try_emplace(text);
    std::error_code ignored;
    if (fresh) entry->second = fs::exists(text, ignored);
    return entry->second;
  }

  std::map<std::string, bool> models_;
  std::map<std::string, std::vector<std::string>> trained_;  // names of models by their file
  std::unordered_map<std::string, bool> paths_;
};

// Of `names`, those that differ between the points of one job.
std::vector<std::string> shared_names(const std::vector<std::string>& names, const Job& job) {
  std::vector<std::string> shared;
  for (const std::string& name : names) {
    if (job.points.front().settings.contains(name)) shared.push_back(name);
  }
  return shared;
}

bool is_done(const Plan& plan, const JobPoint& point) {
  return plan.done.by_key.contains(point.key);
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

// Keys of selected points that are done, but for the image files that they ask for.
std::unordered_set<std::string> keys_without_images(const Plan& plan) {
  std::unordered_set<std::string> keys;
  for (const Job& job : plan.all) {
    if (!asks_for_images(job)) continue;
    for (const JobPoint& point : job.points) {
      const auto done = plan.done.by_key.find(point.key);
      if (done == plan.done.by_key.end() || !point.selected) continue;
      if (lacks_images({plan.jobs_folder() / done->second.job}, job, point)) keys.insert(point.key);
    }
  }
  return keys;
}

// Without a result, or with one that is to be replaced, and selected.
bool to_run(const Plan& plan, const PlanOptions& options, const JobPoint& point) {
  return point.selected && (options.force || !is_done(plan, point));
}

// Files that will be made are there for whoever reads them; what cannot be made is left out of
// `makers`.
void add_made_files(sweep::Sweep& sweep, const ExperimentSchemas& schemas, Presence& presence) {
  if (sweep.makers.empty()) return;
  std::unordered_map<std::string, const sweep::Point*> points;
  for (const sweep::Point& point : sweep.points) points[point.id] = &point;
  std::map<fs::path, std::string> possible, open = sweep.makers;
  for (bool more = true; more;) {
    more = false;
    for (auto maker = open.begin(); maker != open.end();) {
      const sweep::Point& point = *points.at(maker->second);
      const ExperimentSchema& schema = schema_of(schemas, point.experiment);
      const bool waits = !sweep::made_files_of(schema, point.settings, sweep.models, open).empty();
      if (waits || !presence.of(schema, point.settings)) {
        ++maker;
        continue;
      }
      presence.add(maker->first);
      possible.insert(*maker);
      maker = open.erase(maker);
      more = true;
    }
  }
  sweep.makers = std::move(possible);
}

// Keys of points that have to run, done or not, because others are to run that read what they make.
std::unordered_set<std::string> needed_makers(
    const Plan& plan, const Jobs& pending, const fs::path& cache_folder,
    const std::map<std::string, std::vector<fs::path>>& outputs) {
  std::unordered_set<std::string> needed;
  std::vector<std::string> open;
  for (const Job& job : pending) open.insert(open.end(), job.after.begin(), job.after.end());
  while (!open.empty()) {
    const std::string key = std::move(open.back());
    open.pop_back();
    const auto done = plan.done.by_key.find(key);
    const auto holds = [&](const fs::path& file) {
      const DonePoint& of = done->second;
      return holds_what_was_made(file, of.result, of.job, cache_folder) ||
             put_model_back(file, of.result, of.job, cache_folder);
    };
    const bool there = done != plan.done.by_key.end() &&
                       std::all_of(outputs.at(key).begin(), outputs.at(key).end(), holds);
    if (there || !needed.insert(key).second) continue;
    for (const Job& job : plan.all) {
      const bool makes = std::any_of(job.points.begin(), job.points.end(),
                                     [&](const JobPoint& point) { return point.key == key; });
      if (makes) open.insert(open.end(), job.after.begin(), job.after.end());
    }
  }
  return needed;
}

// The files that points make for others, by their keys.
std::map<std::string, std::vector<fs::path>> outputs_by_key(const Plan& plan) {
  std::unordered_map<std::string, std::string> keys;  // by id
  for (const Job& job : plan.all) {
    for (const JobPoint& point : job.points) keys[point.id] = point.key;
  }
  std::map<std::string, std::vector<fs::path>> outputs;
  for (const auto& [file, id] : plan.sweep.makers) outputs[keys.at(id)].push_back(file);
  return outputs;
}

// `pending` with the points that have to make files for it, those first.
Jobs with_makers(const Plan& plan, const Jobs& pending, const fs::path& cache_folder) {
  const auto outputs = outputs_by_key(plan);
  std::unordered_set<std::string> keys = needed_makers(plan, pending, cache_folder, outputs);
  for (const Job& job : pending) {
    for (const JobPoint& point : job.points) keys.insert(point.key);
  }
  const Jobs all =
      with_points(plan.all, [&](const JobPoint& point) { return keys.contains(point.key); });
  const auto makes = [&](const Job& job) {
    return std::any_of(job.points.begin(), job.points.end(),
                       [&](const JobPoint& point) { return outputs.contains(point.key); });
  };
  Jobs ordered;
  for (const bool first : {true, false}) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (makes(all[i]) == first) ordered.share(all, i);
    }
  }
  return ordered;
}

// Above all generations there are, so that the new result holds. What was never done stays as it
// is.
void force_again(Plan& plan) {
  Jobs again;
  for (const Job& pending : plan.pending) {
    Job job = pending;
    int64_t newest = -1;
    for (const JobPoint& point : job.points) {
      const auto done = plan.done.by_key.find(point.key);
      if (done != plan.done.by_key.end()) newest = std::max(newest, done->second.generation);
    }
    job.generation = newest + 1;
    again.push_back(std::move(job));
  }
  plan.pending = std::move(again);
}

// Nothing is computed over a result that is kept: neither its points nor, where these are not
// known, the job of its folder.
void leave_kept(Plan& plan) {
  const DonePoints& done = plan.done;
  if (done.kept.empty()) return;
  plan.pending = with_points(
      plan.pending, [&](const JobPoint& point) { return !done.kept_keys.contains(point.key); });
  const size_t before = point_count(plan.pending);
  plan.pending =
      filtered(plan.pending, [&](const Job& job) { return !done.kept_folders.contains(job.hash); });
  plan.kept = before - point_count(plan.pending);
  for (const Job& job : plan.all) {
    for (const JobPoint& point : job.points) {
      plan.kept += point.selected && done.kept_keys.contains(point.key);
    }
  }
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

std::string counted(size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

size_t point_count(const Jobs& jobs) {
  size_t count = 0;
  for (const Job& job : jobs) count += job.points.size();
  return count;
}

fs::path Plan::record() const { return folder.parent_path() / (sweep.name + ".h5"); }

Plan make_plan(sweep::Sweep sweep, const ExperimentSchemas& schemas, const PlanOptions& options,
               JobStore& store, const std::function<void(const std::string&)>& notice) {
  ContentHasher hasher(options.results / ".cache", [&](const fs::path& path) {
    notice(fmt::format("reading {} once to know its content ...", path.string()));
  });
  Plan plan;
  plan.folder = options.results / sweep.name;
  const DeviceModels devices = options.devices ? *options.devices : device_models();
  plan.device = devices.first;
  plan.runs_on = options.runs_on.empty() ? plan.device : options.runs_on;
  for (const ExperimentSchema& schema : schemas) {
    plan.varying[schema.name] = varying_fields(sweep.points, schema);
  }
  Presence presence(sweep);
  for (const auto& [path, identity] : options.to_be_made) {
    hasher.assume(path, identity);
    presence.add(path);
  }
  add_made_files(sweep, schemas, presence);
  std::vector<sweep::Point> runnable;
  for (sweep::Point& point : sweep.points) {
    const bool present = presence.of(schema_of(schemas, point.experiment), point.settings);
    (present ? runnable : plan.cannot_run).push_back(std::move(point));
  }
  sweep.points = std::move(runnable);
  plan.sweep = std::move(sweep);
  if (!plan.cannot_run.empty())
    plan.absent = absent_jobs(plan.sweep, plan.cannot_run, schemas, devices);
  plan.all = plan_jobs(plan.sweep, schemas, devices, hasher, options.smoke);
  hasher.save();
  plan.done = store.find_done(plan.all);
  const std::unordered_set<std::string> without_images = keys_without_images(plan);
  plan.without_images = without_images.size();
  plan.pending = with_points(plan.all, [&](const JobPoint& point) {
    return to_run(plan, options, point) || without_images.contains(point.key);
  });
  if (options.retry_failed) {
    plan.pending = filtered(plan.pending, [&](const Job& job) {
      return read_attempts(folder_of(plan, job).attempts()).failed();
    });
  }
  if (!plan.sweep.makers.empty())
    plan.pending = with_makers(plan, plan.pending, options.results / ".cache");
  if (options.force || !plan.sweep.makers.empty() || !without_images.empty()) force_again(plan);
  leave_kept(plan);
  return plan;
}

JobFolder folder_of(const Plan& plan, const Job& job) {
  return JobFolder{plan.jobs_folder() / job.hash};
}

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
