#include "framework/job/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "framework/job/absent_jobs.h"
#include "framework/job/attempts.h"
#include "framework/job/device.h"
#include "framework/job/file_facts.h"
#include "framework/job/saved_images.h"
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

namespace {

// All of a plan but what of it is done and is to be run.
Plan lay_out(sweep::Sweep sweep, const ExperimentSchemas& schemas, const PlanOptions& options,
             const std::function<void(const std::string&)>& notice) {
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
  return plan;
}

}  // namespace

Jobs jobs_of(sweep::Sweep sweep, const std::optional<std::unordered_set<std::string>>& ids,
             const ExperimentSchemas& schemas, const PlanOptions& options,
             const std::function<void(const std::string&)>& notice) {
  if (ids && ids->empty()) return {};
  std::unordered_set<std::string> makers;
  for (const auto& [file, maker] : sweep.makers) makers.insert(maker);
  if (ids) {
    std::erase_if(sweep.points, [&](const sweep::Point& point) {
      return !ids->contains(point.id) && !makers.contains(point.id);
    });
  }
  return lay_out(std::move(sweep), schemas, options, notice).all;
}

Plan make_plan(sweep::Sweep sweep, const ExperimentSchemas& schemas, const PlanOptions& options,
               JobStore& store, const std::function<void(const std::string&)>& notice) {
  Plan plan = lay_out(std::move(sweep), schemas, options, notice);
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

bool is_done(const Plan& plan, const JobPoint& point) {
  return plan.done.by_key.contains(point.key);
}

JobFolder folder_of(const Plan& plan, const Job& job) {
  return JobFolder{plan.jobs_folder() / job.hash};
}

}  // namespace tarflow::job
