#include "framework/job/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/image_settings.h"
#include "framework/core/json_keys.h"
#include "framework/core/strategy.h"
#include "framework/job/inputs.h"
#include "framework/sweep/made_files.h"

namespace tarflow::job {
namespace {

// Of the keys alone: they hold all that results depend on.
std::string job_hash(const std::vector<JobPoint>& points) {
  std::vector<std::string_view> keys;
  keys.reserve(points.size());
  for (const JobPoint& point : points) keys.push_back(point.key);
  std::sort(keys.begin(), keys.end());
  std::string text = "[";  // canonical() of the list; keys are plain hexadecimal
  for (const std::string_view key : keys) {
    if (text.size() > 1) text += ',';
    text.append("\"").append(key).append("\"");
  }
  return short_hash(text + "]");
}

// Settings and file contents of one point, parted into what a job has in common and what is shared.
struct Parted {
  sweep::Settings common, shared;
  Json common_contents, shared_contents;  // null: none
};

Parted part(const ExperimentSchema& schema, const sweep::Settings& settings, ContentHasher& hasher,
            Json& stamps) {
  Parted parted;
  parted.common.reserve(settings.size());
  for (const Field& field : schema.fields) {
    const sweep::SettingPtr* setting = settings.find_shared(field.name);
    if (!setting) continue;
    (field.shared ? parted.shared : parted.common).set(*setting);
    if (field.identity == Identity::kContent) {
      const std::string& path = (*setting)->value.get_ref<const std::string&>();
      const images::Layout layout = layout_of(field.name, settings);
      (field.shared ? parted.shared_contents : parted.common_contents)[field.name] =
          hasher.hash(path, layout);
      stamps[stamp_key(path, layout)] = hasher.stamp(path, layout);
    }
  }
  return parted;
}

// Of the inputs of the job alone.
Json stamps_of(const Job& job) {
  Json stamps = Json::object();
  for (const Input& input : inputs_of(job)) {
    if (!input.stamp.empty()) stamps[stamp_key(input.path, input.layout)] = input.stamp;
  }
  return stamps;
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
    if (!point.contents.empty()) entry["contents"] = point.contents.get();
    points.push_back(std::move(entry));
  }
  Json json = {{"hash", job.hash},
               {"experiment", job.experiment},
               {"settings", job.settings.json()},
               {"points", std::move(points)},
               {"model", job.model.get()},
               {"contents", job.contents.is_null() ? Json::object() : job.contents.get()},
               {"stamps", stamps_of(job)},
               {"sweep", job.sweep},
               {"smoke", job.smoke.get()},
               {"generation", job.generation}};
  if (!job.device.empty()) json["device"] = job.device;
  return json;
}

namespace {

sweep::Settings settings_in(const Json& json) {
  const Json settings = value_or(json, "settings", Json::object());
  if (!settings.is_object()) throw Error("its `settings` are no JSON object");
  return sweep::Settings(settings);
}

JobPoint point_from_json(const Json& json) {
  return {value_or(json, "id", std::string()), value_or(json, "key", std::string()),
          settings_in(json), value_or(json, "contents", Json()), true};
}

void require_runnable(const Json& json) {
  for (const char* key : {"hash", "experiment"}) required_value<std::string>(json, key);
  for (const char* key : {"settings", "points", "model", "contents"}) {
    required_value<Json>(json, key);
  }
  for (const Json& point : json.at("points")) {
    for (const char* key : {"id", "key"}) required_value<std::string>(point, key);
    required_value<Json>(point, "settings");
  }
}

}  // namespace

Job job_from_json(const Json& json) {
  Job job;
  job.hash = value_or(json, "hash", std::string());
  job.experiment = value_or(json, "experiment", std::string());
  job.settings = settings_in(json);
  job.model = value_or(json, "model", Json());
  job.contents = value_or(json, "contents", Json::object());
  job.stamps = value_or(json, "stamps", Json::object());
  job.device = value_or(json, "device", std::string());
  job.sweep = value_or(json, "sweep", std::string());
  job.smoke = value_or(json, "smoke", Json());
  job.generation = value_or(json, "generation", int64_t{0});
  const Json points = value_or(json, "points", Json::array());
  if (!points.is_array()) throw Error("its `points` are no JSON list");
  for (const Json& point : points) job.points.push_back(point_from_json(point));
  if (job.hash.empty()) job.hash = job_hash(job.points);
  return job;
}

Job read_job(const std::filesystem::path& file) { return read_keys(file, job_from_json); }

Job read_job_to_run(const std::filesystem::path& file) {
  return read_keys(file, [](const Json& json) {
    Job job = job_from_json(json);
    require_runnable(json);
    return job;
  });
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

// What a job's points and results depend on besides its settings: made once for all jobs that have
// the same.
class Surroundings {
 public:
  // Adds the stamps of checkpoints to `stamps`.
  Surroundings(const sweep::Sweep& sweep, ContentHasher& hasher, Json& stamps)
      : sweep_(sweep), hasher_(hasher), stamps_(stamps) {}

  // Fills in model and contents.
  void add_to(Job& job, const ExperimentSchema& schema, Json contents) {
    const std::string* model = model_name(schema, job.settings);
    const std::string key =
        (model ? *model : std::string()) + "\n" + (contents.is_null() ? "" : canonical(contents));
    const auto [entry, fresh] = known_.try_emplace(key);
    if (fresh) {
      if (contents.is_null()) contents = Json::object();
      if (model) {
        entry->second.model = model_of(sweep_.models.at(*model));
        const Json& known = entry->second.model.get();
        contents["checkpoint"] = known.at("sha256");
        if (known.contains("weights")) contents["weights"] = known.at("weights");
      }
      entry->second.contents = std::move(contents);
    }
    job.model = entry->second.model;
    job.contents = entry->second.contents;
  }

 private:
  struct Known {
    SharedJson model, contents;
  };

  static const std::string* model_name(const ExperimentSchema& schema,
                                       const sweep::Settings& settings) {
    for (const Field& field : schema.fields) {
      const Json* name = field.type == FieldType::kModel ? settings.find(field.name) : nullptr;
      if (name) return &name->get_ref<const std::string&>();
    }
    return nullptr;
  }

  Json model_of(const sweep::Model& model) {
    if (model.random_weights) {
      Json json = {{"name", model.name},
                   {"checkpoint", ""},
                   {"random_weights", *model.random_weights},
                   {"shape", to_json(model.shape)}};
      const Json content = {{"random_weights", *model.random_weights}, {"shape", json["shape"]}};
      json["sha256"] = sha256_hex(canonical(content));
      return json;
    }
    stamps_[stamp_key(model.checkpoint.string())] = hasher_.stamp(model.checkpoint);
    Json json = {{"name", model.name},
                 {"checkpoint", model.checkpoint.string()},
                 {"sha256", hasher_.hash(model.checkpoint)},
                 {"shape", to_json(model.shape)}};
    if (!model.weights.empty()) json["weights"] = model.weights;
    return json;
  }

  const sweep::Sweep& sweep_;
  ContentHasher& hasher_;
  Json& stamps_;
  std::unordered_map<std::string, Known> known_;
};

// Identity of a point with the contents of its files and the device: the hash of the canonical JSON
// {"contents", "device", "id"}.
class Keys {
 public:
  std::string key(const std::string& id, const Job& job, const Json& shared_contents,
                  const std::string& device) {
    if (&job.contents.get() != last_contents_ || !shared_contents.is_null() || device != device_) {
      Json contents = job.contents.get();
      if (!shared_contents.is_null()) contents.update(shared_contents);
      head_ = fmt::format(R"({{"contents":{},"device":{},"id":")", canonical(contents),
                          canonical(device));
      last_contents_ = shared_contents.is_null() ? &job.contents.get() : nullptr;
      device_ = device;
    }
    return short_hash(head_ + id + "\"}");
  }

 private:
  const Json* last_contents_ = nullptr;
  std::string device_, head_;
};

// The model of the device that the point's job runs on.
const std::string& device_of(const sweep::Point& point, const DeviceModels& devices) {
  const Json* wanted = point.settings.find("device");
  const bool on_cpu = point.run->gpus == 0 || (wanted && *wanted == "cpu");
  return on_cpu ? devices.cpu : devices.first;
}

// The keys of the points that make files, by file, found in an order in which each comes before
// what is made of it; the hasher is told them.
std::map<std::filesystem::path, std::string> keys_of_makers(const sweep::Sweep& sweep,
                                                            const ExperimentSchemas& schemas,
                                                            const DeviceModels& devices,
                                                            ContentHasher& hasher) {
  std::map<std::filesystem::path, std::string> keys, open = sweep.makers;
  std::unordered_map<std::string, const sweep::Point*> points;
  if (!open.empty()) {
    for (const sweep::Point& point : sweep.points) points[point.id] = &point;
  }
  while (!open.empty()) {
    const size_t before = open.size();
    for (auto maker = open.begin(); maker != open.end();) {
      const sweep::Point& point = *points.at(maker->second);
      const ExperimentSchema& schema = schema_of(schemas, point.experiment);
      if (!sweep::made_files_of(schema, point.settings, sweep.models, open).empty()) {
        ++maker;
        continue;
      }
      sweep::Sweep alone{sweep.name, sweep.file, sweep.models, {point}, {}, {}, {}};
      const std::string key = plan_jobs(alone, schemas, devices, hasher).at(0).points.front().key;
      hasher.assume(maker->first, "made by " + key);
      keys[maker->first] = key;
      maker = open.erase(maker);
    }
    if (open.size() == before) {
      throw Error(fmt::format("the experiment that writes {} needs that file itself",
                              open.begin()->first.string()),
                  "give one of the experiments another `output`");
    }
  }
  return keys;
}

}  // namespace

Jobs plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
               const DeviceModels& devices, ContentHasher& hasher, const SharedJson& smoke) {
  const auto makers = keys_of_makers(sweep, schemas, devices, hasher);
  std::vector<Job> jobs;
  std::unordered_map<std::string, size_t> index_of;  // by group
  Groups groups;
  Json stamps = Json::object();
  Surroundings surroundings(sweep, hasher, stamps);
  Keys keys;
  for (const sweep::Point& point : sweep.points) {
    const ExperimentSchema& schema = schema_of(schemas, point.experiment);
    Parted parted = part(schema, point.settings, hasher, stamps);
    const auto [entry, fresh] =
        index_of.try_emplace(groups.key(point.experiment, parted.common), jobs.size());
    if (fresh) {
      Job& job = jobs.emplace_back();
      job.experiment = point.experiment;
      job.settings = std::move(parted.common);
      surroundings.add_to(job, schema, std::move(parted.common_contents));
      job.sweep = sweep.name;
      job.run = point.run;
      job.smoke = smoke;
    }
    Job& job = jobs[entry->second];
    for (const auto& file : sweep::made_files_of(schema, point.settings, sweep.models, makers)) {
      const std::string& key = makers.at(file);
      const bool known = std::find(job.after.begin(), job.after.end(), key) != job.after.end();
      if (!known) job.after.push_back(key);
    }
    const std::string device = schema.timed ? device_of(point, devices) : "";
    if (device == devices.stated) job.device = device;
    std::string key = keys.key(point.id, job, parted.shared_contents, device);
    job.points.push_back({point.id, std::move(key), std::move(parted.shared),
                          std::move(parted.shared_contents), point.selected});
  }
  const SharedJson all_stamps(std::move(stamps));
  Jobs planned;
  for (Job& job : jobs) {
    job.hash = job_hash(job.points);
    job.stamps = all_stamps;
    planned.push_back(std::move(job));
  }
  return planned;
}

Jobs plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
               const DeviceModels& devices, const std::filesystem::path& cache_folder) {
  ContentHasher hasher(cache_folder);
  Jobs jobs = plan_jobs(sweep, schemas, devices, hasher);
  hasher.save();
  return jobs;
}

Jobs with_points(const Jobs& jobs, const std::function<bool(const JobPoint&)>& keep) {
  Jobs left;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    const auto count = std::count_if(job.points.begin(), job.points.end(), keep);
    if (count == 0) continue;
    if (static_cast<size_t>(count) == job.points.size()) {
      left.share(jobs, i);
      continue;
    }
    Job part = job;
    std::erase_if(part.points, [&](const JobPoint& point) { return !keep(point); });
    part.hash = job_hash(part.points);
    left.push_back(std::move(part));
  }
  return left;
}

Jobs filtered(const Jobs& jobs, const std::function<bool(const Job&)>& keep) {
  Jobs left;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (keep(jobs[i])) left.share(jobs, i);
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

namespace {

// A file by its name and its folder: whole paths hide what differs.
std::string shown_in_label(const Json& value) {
  if (value.is_string() && value.get_ref<const std::string&>().starts_with('/')) {
    const std::filesystem::path path = value.get<std::string>();
    return (path.parent_path().filename() / path.filename()).string();
  }
  return shown(value);
}

}  // namespace

std::string label(const std::string& experiment, const sweep::Settings& settings,
                  const std::vector<std::string>& fields) {
  std::string text = experiment;
  for (const std::string& field : fields) {
    if (!settings.contains(field)) continue;
    const Json& value = settings.at(field);
    const bool all = (field == "num_images" || field == kGuessNumImages) && value == 0;
    text += fmt::format(" {}={}", field, all ? "all" : shown_in_label(value));
  }
  return text;
}

std::vector<std::string> varying_fields(const std::vector<sweep::Point>& points,
                                        const ExperimentSchema& schema) {
  std::vector<const sweep::Settings*> all;
  for (const sweep::Point& point : points) {
    if (point.experiment == schema.name) all.push_back(&point.settings);
  }
  std::vector<std::string> names;
  for (const Field& field : schema.fields) {
    // Points have these or not by their strategy, which is named.
    const bool of_guesses =
        field.name == kGuessImages || field.name == kGuessLayout || field.name == kGuessNumImages;
    std::optional<std::string_view> first;
    const sweep::Setting* last = nullptr;
    const bool varies = std::any_of(all.begin(), all.end(), [&](const sweep::Settings* settings) {
      const sweep::SettingPtr* setting = settings->find_shared(field.name);
      if ((setting && setting->get() == last) || (!setting && of_guesses)) return false;
      last = setting ? setting->get() : nullptr;
      const std::string_view text = setting ? std::string_view((*setting)->text) : "";
      if (!first) first = text;
      return *first != text;
    });
    // The model is named even when it is the only one: it is what a reader looks for first.
    if (varies || field.type == FieldType::kModel) names.push_back(field.name);
  }
  return names;
}

}  // namespace tarflow::job
