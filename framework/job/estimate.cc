#include "framework/job/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/image_settings.h"
#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/core/trained.h"
#include "framework/images/folder.h"
#include "framework/job/attempts.h"
#include "framework/job/progress.h"
#include "framework/process/command.h"

namespace tarflow::job {
namespace {

constexpr std::chrono::minutes kMeasuring{10};  // the longest that a worker may take for it
constexpr double kKeptImages = 64;              // in a record, as float32
constexpr double kRecordBytes = 64 << 10;       // of everything else that is small
// Of a training step, in forward passes: forward, and backward, which is two. Blocks whose
// activations do not fit into memory are computed once more.
constexpr double kTrainingPasses = 3;
constexpr const char* kTrainedModel = "trained";  // in the place of a model's hash

double number_or(const sweep::Settings& settings, const char* name, double otherwise) {
  const Json* value = settings.find(name);
  return value && value->is_number() ? value->get<double>() : otherwise;
}

// Processes on the CPU divide what there is; each GPU and each node is one more.
double devices_of(const sweep::RunSettings& run) {
  return static_cast<double>(run.nodes * std::max<int64_t>(run.gpus, 1));
}

// Two models of one file may differ in shape.
std::string model_key(const Job& job) {
  return job.model.at("sha256").get<std::string>() + job.model.get().value("weights", "");
}

// Three digits are more than an estimate knows.
std::string plain_number(double value) {
  const double unit = std::pow(10.0, std::max(0.0, std::floor(std::log10(value)) - 2));
  std::string digits = fmt::format("{:.0f}", std::round(value / unit) * unit);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

}  // namespace

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> kUnits{"bytes", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < kUnits.size(); ++unit) bytes /= 1000;
  return unit == 0 || bytes >= 9.95 ? fmt::format("{:.0f} {}", bytes, kUnits[unit])
                                    : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string device_hours_text(double seconds) {
  constexpr double kHour = 3600, kDay = 24 * kHour;
  if (seconds < 100 * kHour)
    return fmt::format("{:.3g} device hours ({})", seconds / kHour, duration(seconds));
  return fmt::format("{} device hours ({} days)", plain_number(seconds / kHour),
                     plain_number(seconds / kDay));
}

std::string estimate_text(const Estimate& estimate) {
  std::string text;
  if (estimate.seconds) {
    text += (estimate.bound ? " at least " : " about ") + duration(*estimate.seconds);
  }
  if (estimate.bytes)
    text += fmt::format("{} {}", text.empty() ? "" : ",", bytes_text(*estimate.bytes));
  if (!estimate.source.empty()) text += fmt::format(" ({})", estimate.source);
  return text;
}

Estimator::Estimator(const ExperimentSchemas& schemas, std::string device,
                     const std::filesystem::path& cache_folder)
    : schemas_(schemas), device_(std::move(device)), file_(cache_folder / "costs.jsonl") {
  std::ifstream in(file_);
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    try {
      add({json.at("device").get<std::string>(), json.at("experiment").get<std::string>(),
           json.at("model").get<std::string>(), json.at("settings").get<std::string>(),
           json.at("images").get<double>(), json.at("flops").get<double>(),
           json.at("working").get<double>(), json.at("startup").get<double>(),
           json.at("bytes").get<double>(), json.at("devices").get<double>()});
    } catch (const Json::exception&) {
      // Half a line of a killed run, or one of an earlier version, which did not tell starting
      // from working.
    }
  }
}

void Estimator::add(const Cost& cost) {
  if (cost.device != device_ || cost.working + cost.startup <= 0) return;
  const auto add_to = [&](Sum& sum) {
    sum.jobs += 1;
    sum.images += cost.images;
    sum.flops += cost.flops;
    sum.startup += cost.startup;
    sum.working += cost.working * cost.devices;
    sum.bytes += cost.bytes;
  };
  const std::string model = cost.experiment + "\n" + cost.model;
  add_to(alike_[model + "\n" + cost.settings]);
  add_to(of_model_[model]);
  if (cost.flops > 0) add_to(of_device_);
}

// Of everything an attempt's time depends on but how many images it has and which.
std::string Estimator::settings_text(const Job& job) {
  std::string text = fmt::format("{}", job.points.size());
  const auto append = [&](const sweep::SettingPtr& setting) {
    const auto [entry, fresh] = texts_.try_emplace(setting);
    if (fresh) {
      const bool strategy = setting->value.is_object() && setting->value.contains("blocks");
      entry->second =
          short_hash(setting->name + " " +
                     (strategy ? canonical(setting->value.at("blocks")) : setting->text));
    }
    text += entry->second;
  };
  for (const sweep::SettingPtr& setting : job.settings) {
    if (setting->name != "num_images" && setting->name != "seed") append(setting);
  }
  for (const JobPoint& point : job.points) {
    if (const sweep::SettingPtr* strategy = point.settings.find_shared("strategy"))
      append(*strategy);
  }
  return short_hash(text);
}

const ModelShape& Estimator::shape_of(const Job& job) {
  const auto [entry, fresh] = shapes_.try_emplace(model_key(job));
  if (fresh) entry->second = shape_from_json(job.model.at("shape"));
  return entry->second;
}

std::optional<double> Estimator::seconds_of(double flops) const {
  if (knows_device()) return flops * of_device_.working / of_device_.flops;
  if (device_rate_ > 0) return flops / device_rate_;
  return std::nullopt;
}

bool Estimator::knows_device() const { return of_device_.jobs > 0; }

// FLOPs to invert one image without guidance, iterations not stopping before their end.
double measured_rate(const std::filesystem::path& worker, const std::string& device, bool here,
                     const std::filesystem::path& cache_folder) {
  // Files called rates.json may hold rates of a login node under the name of its cluster's GPU.
  const std::filesystem::path file = cache_folder / "measured_rates.json";
  Json rates = Json::object();
  try {
    std::error_code ignored;
    if (std::filesystem::exists(file, ignored)) rates = read_json_file(file);
    if (rates.is_object() && rates.contains(device)) return rates.at(device).get<double>();
    if (!here) return 0;
    const std::string answer = process::output_of({worker.string(), "--measure-rate"}, kMeasuring);
    const double rate = Json::parse(answer).at("gemm_flops").get<double>();
    rates[device] = rate;
    write_json_file(file, rates);
    return rate;
  } catch (const std::exception&) {
    return 0;  // the plan then says that times are unknown
  }
}

double Estimator::passes(const sweep::Settings& settings, const ModelShape& shape) {
  const sweep::SettingPtr* strategy = settings.find_shared("strategy");
  const double tokens = shape.tokens();
  // Causal attention: half of all tokens on average are keys.
  const double one_pass = tokens * shape.block_flops_per_token(tokens / 2);
  if (!strategy) return shape.blocks * one_pass;
  const auto [entry, fresh] = passes_.try_emplace(*strategy, 0.0);
  if (!fresh) return entry->second;
  for (const BlockPlan& plan : strategy_from_json((*strategy)->value).blocks)
    entry->second += one_pass * most_passes(plan);
  return entry->second;
}

// Images of all steps; 0 where the folder cannot be listed, which the job itself will say.
double Estimator::trained_images(const Job& job) {
  const double batch = number_or(job.settings, "batch", 0);
  const double steps = number_or(job.settings, "steps", 0);
  if (steps > 0 || batch <= 0) return steps * batch;
  double images = number_or(job.settings, "num_images", 0);
  const Json* folder = job.settings.find("images");
  if (images <= 0 && folder) {
    const Json* layout = job.settings.find(kLayout);
    const auto [entry, fresh] = image_counts_.try_emplace(folder->get<std::string>(), 0.0);
    try {
      if (fresh) {
        entry->second = static_cast<double>(
            images::list_images(entry->first,
                                images::layout_from(layout ? layout->get<std::string>() : ""))
                .files.size());
      }
    } catch (const Error&) {
    }
    images = entry->second;
  }
  return number_or(job.settings, "epochs", 0) * std::floor(images / batch) * batch;
}

double Estimator::flops(const Job& job) {
  const ExperimentSchema& schema = schema_of(schemas_, job.experiment);
  if (schema.work == Work::kTraining) {
    const ModelShape shape = trained(job.settings.json()).shape;
    return kTrainingPasses * trained_images(job) * shape.blocks * shape.tokens() *
           shape.block_flops_per_token(shape.tokens() / 2.0);
  }
  if (job.model.is_null() || schema.work == Work::kUnknown || schema.work == Work::kFeatures)
    return 0;
  const ModelShape& shape = shape_of(job);
  const double images = number_or(job.settings, "num_images", 0);
  if (schema.work == Work::kForward) {
    return images * shape.blocks * shape.tokens() *
           shape.block_flops_per_token(shape.tokens() / 2.0);
  }
  const double guided = number_or(job.settings, "cfg", 0) > 0 ? 2 : 1;
  if (job.settings.find_shared("strategy") || job.points.empty() ||
      !job.points.front().settings.find_shared("strategy"))
    return images * guided * passes(job.settings, shape);
  double shared = 0;  // each point has its own strategy
  for (const JobPoint& point : job.points) shared += passes(point.settings, shape);
  return images * guided * shared;
}

Cost Estimator::cost_of(const Job& job) {
  Cost cost{device_, job.experiment, "", settings_text(job), 0, 0, 0, 0, 0, devices_of(*job.run)};
  if (!job.model.is_null()) cost.model = model_key(job);
  const bool training = schema_of(schemas_, job.experiment).work == Work::kTraining;
  cost.images = training ? trained_images(job) : number_or(job.settings, "num_images", 0);
  // What a training takes follows from its shape, so that other shapes tell of it as well.
  if (training) cost.model = kTrainedModel;
  cost.flops = flops(job);
  return cost;
}

Estimate Estimator::estimate(const Job& job) {
  const Cost cost = cost_of(job);
  const std::string model = cost.experiment + "\n" + cost.model;
  Estimate result;
  result.devices = cost.devices;
  const double flops = cost.flops / cost.devices;  // of each device
  const auto alike = alike_.find(model + "\n" + cost.settings);
  const auto earlier = of_model_.find(model);
  if (alike != alike_.end() && alike->second.images > 0) {
    const Sum& sum = alike->second;
    result.seconds = sum.startup_of_one() + sum.working / sum.images * cost.images / cost.devices;
    result.source = fmt::format("{:g} earlier job{} with these settings", alike->second.jobs,
                                alike->second.jobs == 1 ? "" : "s");
  } else if (earlier != of_model_.end() && cost.flops > 0 && earlier->second.flops > 0) {
    const Sum& sum = earlier->second;
    result.seconds = sum.startup_of_one() + flops * sum.working / sum.flops;
    result.source = fmt::format("earlier {} here, by FLOPs",
                                cost.model == kTrainedModel ? "trainings" : "jobs of this model");
  } else if (cost.flops > 0 && knows_device()) {
    result.seconds = of_device_.startup_of_one() + flops * of_device_.working / of_device_.flops;
    result.source = "earlier jobs of other models here, by FLOPs";
  } else if (cost.flops > 0 && device_rate_ > 0) {
    result.seconds = flops / device_rate_;
    result.bound = true;
    result.source = fmt::format("{:.3g} TFLOP at the {:.3g} TFLOP/s of matrix products here",
                                cost.flops / 1e12, device_rate_ / 1e12);
  }
  if (earlier != of_model_.end()) {
    result.bytes = earlier->second.bytes / earlier->second.jobs;
  } else if (!job.model.is_null()) {
    const double side = shape_of(job).image_size;
    result.bytes = kRecordBytes + std::min(kKeptImages, cost.images) * 3 * side * side * 4;
  }
  return result;
}

void Estimator::learn_result(const Job& job, double seconds, const JobFolder& folder) {
  std::error_code failed;
  const auto bytes = std::filesystem::file_size(folder.result(), failed);
  const WorkerProgress progress = read_progress(folder.progress());
  if (failed || !job.smoke.is_null() || progress.done_before > 0) return;
  // A worker that does not tell is taken to have worked all the time.
  const double working = progress.working_seconds > 0 ? progress.working_seconds : seconds;
  learn(job, seconds, std::max(0.0, seconds - working), static_cast<double>(bytes));
}

void Estimator::learn(const Job& job, double seconds, double startup, double bytes) {
  Cost cost = cost_of(job);
  cost.working = seconds - startup;
  cost.startup = startup;
  cost.bytes = bytes;
  add(cost);
  try {
    std::error_code ignored;
    std::filesystem::create_directories(file_.parent_path(), ignored);
    append_line(file_, canonical({{"device", cost.device},
                                  {"experiment", cost.experiment},
                                  {"model", cost.model},
                                  {"settings", cost.settings},
                                  {"images", cost.images},
                                  {"flops", cost.flops},
                                  {"working", cost.working},
                                  {"startup", cost.startup},
                                  {"devices", cost.devices},
                                  {"bytes", cost.bytes}}));
  } catch (const Error&) {
    // Told by what matters more when the folder cannot be written.
  }
}

}  // namespace tarflow::job
