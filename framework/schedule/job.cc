#include "framework/schedule/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "framework/core/error.h"
#include "framework/core/hash.h"

namespace tarflow::schedule {
namespace {

// Of the keys alone: they hold all that results depend on.
std::string job_hash(const std::vector<JobPoint>& points) {
  std::vector<std::string> keys;
  for (const JobPoint& point : points) keys.push_back(point.key);
  std::sort(keys.begin(), keys.end());
  return short_hash(canonical(keys));
}

Json model_of(const sweep::Sweep& sweep, const ExperimentSchema& schema,
              const sweep::Settings& settings, ContentHasher& hasher) {
  for (const Field& field : schema.fields) {
    if (field.type != FieldType::kModel || !settings.contains(field.name)) continue;
    const sweep::Model& model = sweep.models.at(settings.at(field.name).get<std::string>());
    return {{"name", model.name},
            {"checkpoint", model.checkpoint.string()},
            {"sha256", hasher.hash(model.checkpoint)},
            {"shape", to_json(model.shape)}};
  }
  return nullptr;
}

// Settings and file contents of one point, parted into what a job has in common and what is shared.
struct Parted {
  sweep::Settings common, shared;
  Json common_contents = Json::object(), shared_contents = Json::object();
};

Parted part(const ExperimentSchema& schema, const sweep::Settings& settings,
            ContentHasher& hasher) {
  Parted parted;
  for (const Field& field : schema.fields) {
    const sweep::SettingPtr* setting = settings.find_shared(field.name);
    if (!setting) continue;
    (field.shared ? parted.shared : parted.common).set(*setting);
    if (field.identity == Identity::kContent) {
      (field.shared ? parted.shared_contents : parted.common_contents)[field.name] =
          hasher.hash((*setting)->value.get<std::string>());
    }
  }
  return parted;
}

std::string point_key(const std::string& id, const Job& job, const Json& shared_contents,
                      const std::string& device_model) {
  Json contents = job.contents;
  contents.update(shared_contents);
  return short_hash(canonical({{"id", id}, {"contents", contents}, {"device", device_model}}));
}

std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  if (value.is_object() && value.contains("name")) return value.at("name").get<std::string>();
  return value.dump();
}

}  // namespace

Json to_json(const Job& job) {
  Json points = Json::array();
  for (const JobPoint& point : job.points) {
    Json entry = {{"id", point.id}, {"key", point.key}, {"settings", point.settings.json()}};
    if (!point.contents.empty()) entry["contents"] = point.contents;
    points.push_back(std::move(entry));
  }
  return {{"hash", job.hash},
          {"experiment", job.experiment},
          {"settings", job.settings.json()},
          {"points", std::move(points)},
          {"model", job.model},
          {"contents", job.contents},
          {"sweep", job.sweep},
          {"smoke", job.smoke},
          {"generation", job.generation}};
}

Job job_from_json(const Json& json) {
  try {
    Job job;
    job.hash = json.at("hash").get<std::string>();
    job.experiment = json.at("experiment").get<std::string>();
    job.settings = sweep::Settings(json.at("settings"));
    job.model = json.at("model");
    job.contents = json.at("contents");
    job.sweep = json.at("sweep").get<std::string>();
    job.smoke = json.at("smoke");
    job.generation = json.value("generation", int64_t{0});
    for (const Json& point : json.at("points")) {
      job.points.push_back({point.at("id").get<std::string>(), point.at("key").get<std::string>(),
                            sweep::Settings(point.at("settings")),
                            point.value("contents", Json::object())});
    }
    return job;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a job: {}", failure.what()));
  }
}

namespace {

// The first jobs are told apart by what their points have in common. Equal values print equally, so
// that a number for each text stands for it; hundreds of thousands of points share few texts.
class Groups {
 public:
  std::string key(const std::string& experiment, const sweep::Settings& common) {
    std::string key = experiment;
    for (const sweep::SettingPtr& setting : common) {
      const auto known = by_setting_.find(setting.get());
      const size_t number = known != by_setting_.end() ? known->second : add(setting);
      key.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    return key;
  }

 private:
  size_t add(const sweep::SettingPtr& setting) {
    const std::string text = setting->name + "\n" + setting->text;
    const size_t number = by_text_.try_emplace(text, by_text_.size()).first->second;
    by_setting_[setting.get()] = number;
    return number;
  }

  std::unordered_map<const sweep::Setting*, size_t> by_setting_;
  std::unordered_map<std::string, size_t> by_text_;
};

}  // namespace

std::vector<Job> plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                           const std::string& device_model, ContentHasher& hasher) {
  std::vector<Job> jobs;
  std::unordered_map<std::string, size_t> index_of;  // by group
  Groups groups;
  for (const sweep::Point& point : sweep.points) {
    const ExperimentSchema& schema = schema_of(schemas, point.experiment);
    Parted parted = part(schema, point.settings, hasher);
    const auto [entry, fresh] =
        index_of.try_emplace(groups.key(point.experiment, parted.common), jobs.size());
    if (fresh) {
      Job job;
      job.experiment = point.experiment;
      job.settings = std::move(parted.common);
      job.model = model_of(sweep, schema, point.settings, hasher);
      job.contents = std::move(parted.common_contents);
      if (!job.model.is_null()) job.contents["checkpoint"] = job.model.at("sha256");
      job.sweep = sweep.name;
      job.run = point.run;
      job.selected = false;
      jobs.push_back(std::move(job));
    }
    Job& job = jobs[entry->second];
    const std::string device = schema.timed ? device_model : "";
    job.selected = job.selected || point.selected;
    job.points.push_back({point.id, point_key(point.id, job, parted.shared_contents, device),
                          std::move(parted.shared), std::move(parted.shared_contents)});
  }
  for (Job& job : jobs) job.hash = job_hash(job.points);
  return jobs;
}

std::vector<Job> plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                           const std::string& device_model,
                           const std::filesystem::path& cache_folder) {
  ContentHasher hasher(cache_folder);
  std::vector<Job> jobs = plan_jobs(sweep, schemas, device_model, hasher);
  hasher.save();
  return jobs;
}

std::vector<Job> without_done(const std::vector<Job>& jobs, const std::set<std::string>& done) {
  std::vector<Job> left;
  for (const Job& job : jobs) {
    const auto open = [&](const JobPoint& point) { return !done.contains(point.key); };
    const auto count = std::count_if(job.points.begin(), job.points.end(), open);
    if (count == 0) continue;
    left.push_back(job);
    if (static_cast<size_t>(count) == job.points.size()) continue;
    std::erase_if(left.back().points, [&](const JobPoint& point) { return !open(point); });
    left.back().hash = job_hash(left.back().points);
  }
  return left;
}

const ExperimentSchema& schema_of(const ExperimentSchemas& schemas, const std::string& name) {
  const auto found =
      std::find_if(schemas.begin(), schemas.end(),
                   [&](const ExperimentSchema& schema) { return schema.name == name; });
  if (found != schemas.end()) return *found;
  std::vector<std::string> names;
  for (const ExperimentSchema& schema : schemas) names.push_back(schema.name);
  throw Error(fmt::format("there is no experiment `{}`", name), did_you_mean(name, names));
}

std::string label(const std::string& experiment, const sweep::Settings& settings,
                  const std::vector<std::string>& fields) {
  std::string text = experiment;
  for (const std::string& field : fields) {
    if (settings.contains(field)) text += fmt::format(" {}={}", field, shown(settings.at(field)));
  }
  return text;
}

std::vector<std::string> varying_fields(const std::vector<sweep::Point>& points,
                                        const ExperimentSchema& schema) {
  std::vector<std::string> names;
  for (const Field& field : schema.fields) {
    std::set<std::string> values;
    const sweep::Setting* last = nullptr;
    for (const sweep::Point& point : points) {
      if (point.experiment != schema.name) continue;
      const sweep::SettingPtr* setting = point.settings.find_shared(field.name);
      if (setting && setting->get() == last) continue;
      last = setting ? setting->get() : nullptr;
      values.insert(setting ? (*setting)->text : "");
    }
    // The model is named even when it is the only one: it is what a reader looks for first.
    if (values.size() > 1 || field.type == FieldType::kModel) names.push_back(field.name);
  }
  return names;
}

}  // namespace tarflow::schedule
