#include "framework/schedule/job.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/core/hash.h"

namespace tarflow::schedule {
namespace {

// Of the keys alone: they hold all that results depend on.
std::string job_hash(const std::vector<Json>& points) {
  std::vector<std::string> keys;
  for (const Json& point : points) keys.push_back(point.at("key").get<std::string>());
  std::sort(keys.begin(), keys.end());
  return short_hash(canonical(keys));
}

Json model_of(const sweep::Sweep& sweep, const ExperimentSchema& schema, const Json& settings,
              ContentHasher& hasher) {
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
  Json common = Json::object(), shared = Json::object();
  Json common_contents = Json::object(), shared_contents = Json::object();
};

Parted part(const ExperimentSchema& schema, const Json& settings, ContentHasher& hasher) {
  Parted parted;
  for (const Field& field : schema.fields) {
    const auto value = settings.find(field.name);
    if (value == settings.end()) continue;
    (field.shared ? parted.shared : parted.common)[field.name] = *value;
    if (field.identity == Identity::kContent) {
      (field.shared ? parted.shared_contents : parted.common_contents)[field.name] =
          hasher.hash(value->get<std::string>());
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
  return {{"hash", job.hash},         {"experiment", job.experiment},
          {"settings", job.settings}, {"points", job.points},
          {"model", job.model},       {"contents", job.contents},
          {"sweep", job.sweep},       {"smoke", job.smoke}};
}

Job job_from_json(const Json& json) {
  try {
    Job job;
    job.hash = json.at("hash").get<std::string>();
    job.experiment = json.at("experiment").get<std::string>();
    job.settings = json.at("settings");
    job.points = json.at("points").get<std::vector<Json>>();
    job.model = json.at("model");
    job.contents = json.at("contents");
    job.sweep = json.at("sweep").get<std::string>();
    job.smoke = json.at("smoke");
    for (const Json& point : job.points) {
      point.at("id").get_ref<const std::string&>();
      point.at("key").get_ref<const std::string&>();
      point.at("settings");
    }
    return job;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a job: {}", failure.what()));
  }
}

std::vector<Job> plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                           const std::string& device_model, ContentHasher& hasher) {
  std::vector<Job> jobs;
  std::map<std::string, size_t> index_of;  // by experiment and common settings
  for (const sweep::Point& point : sweep.points) {
    const ExperimentSchema& schema = schema_of(schemas, point.experiment);
    const Parted parted = part(schema, point.settings, hasher);
    const std::string group = canonical(Json::array({point.experiment, parted.common}));
    const auto [entry, fresh] = index_of.try_emplace(group, jobs.size());
    if (fresh) {
      Job job;
      job.experiment = point.experiment;
      job.settings = parted.common;
      job.model = model_of(sweep, schema, point.settings, hasher);
      job.contents = parted.common_contents;
      if (!job.model.is_null()) job.contents["checkpoint"] = job.model.at("sha256");
      job.sweep = sweep.name;
      jobs.push_back(std::move(job));
    }
    Job& job = jobs[entry->second];
    const std::string device = schema.timed ? device_model : "";
    Json member = {{"id", point.id},
                   {"key", point_key(point.id, job, parted.shared_contents, device)},
                   {"settings", parted.shared}};
    if (!parted.shared_contents.empty()) member["contents"] = parted.shared_contents;
    job.points.push_back(std::move(member));
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
  for (Job job : jobs) {
    std::erase_if(job.points, [&](const Json& point) {
      return done.contains(point.at("key").get<std::string>());
    });
    if (job.points.empty()) continue;
    job.hash = job_hash(job.points);
    left.push_back(std::move(job));
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

std::string label(const std::string& experiment, const Json& settings,
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
    for (const sweep::Point& point : points) {
      if (point.experiment != schema.name) continue;
      const auto value = point.settings.find(field.name);
      values.insert(value == point.settings.end() ? "" : canonical(*value));
    }
    // The model is named even when it is the only one: it is what a reader looks for first.
    if (values.size() > 1 || field.type == FieldType::kModel) names.push_back(field.name);
  }
  return names;
}

}  // namespace tarflow::schedule
