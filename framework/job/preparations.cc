#include "framework/job/preparations.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "framework/core/calibration.h"
#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/core/tuning.h"
#include "framework/record/dataset_file.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr const char* kAuto = "auto";  // a compute type that the device decides
constexpr const char* kTune = "tune";  // the experiment

std::string text_or(const sweep::Settings& settings, const char* name, const char* otherwise) {
  const Json* const value = settings.find(name);
  return value && value->is_string() ? value->get<std::string>() : otherwise;
}

double number_or(const sweep::Settings& settings, const char* name, double otherwise) {
  const Json* const value = settings.find(name);
  return value && value->is_number() ? value->get<double>() : otherwise;
}

// What the strategies of jobs need, each parsed once.
class Strategies {
 public:
  struct Needs {
    bool calibration = false;
    std::optional<double> deviation;  // of a tuning
  };

  Needs of(const Job& job) {
    Needs needs;
    const auto add = [&](const sweep::Settings& settings) {
      for (const sweep::SettingPtr& setting : settings) {
        const Needs* const own = of(setting);
        if (!own) continue;
        needs.calibration = needs.calibration || own->calibration;
        if (own->deviation) needs.deviation = own->deviation;
      }
    };
    add(job.settings);
    for (const JobPoint& point : job.points) add(point.settings);
    if (job.experiment == kTune) needs.deviation = number_or(job.settings, "deviation", 0);
    return needs;
  }

 private:
  const Needs* of(const sweep::SettingPtr& setting) {
    const Json& value = setting->value;
    if (!value.is_object() || !value.contains("blocks")) return nullptr;  // no strategy
    const auto [entry, fresh] = known_.try_emplace(setting);
    if (fresh) {
      const Strategy strategy = strategy_from_json(value);
      entry->second = {strategy.needs_calibration(), strategy.open_deviation()};
    }
    return &entry->second;
  }

  std::unordered_map<sweep::SettingPtr, Needs> known_;
};

// What the folder holds.
class Kept {
 public:
  explicit Kept(fs::path cache) : cache_(std::move(cache)) {}

  bool holds(const std::string& prefix, const Json& wanted) {
    look();
    const std::vector<Json>& known = identities_[prefix];
    return std::any_of(known.begin(), known.end(), [&](const Json& identity) {
      return std::all_of(wanted.items().begin(), wanted.items().end(), [&](const auto& item) {
        return identity.contains(item.key()) && identity.at(item.key()) == item.value();
      });
    });
  }

 private:
  void look() {
    if (looked_) return;
    looked_ = true;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(cache_, failed)) {
      for (const char* prefix : {kCalibrationFile, kTuningFile}) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(prefix) || !name.ends_with(".h5")) continue;
        try {
          const Json identity = Json::parse(record::read_root_attribute(entry.path(), "identity"));
          if (identity.is_object() && !identity.contains("part"))
            identities_[prefix].push_back(identity);
        } catch (const std::exception&) {
          // Not usable: the job makes it anew.
        }
      }
    }
  }

  const fs::path cache_;
  bool looked_ = false;
  std::map<std::string, std::vector<Json>> identities_;
};

// What both depend on, as far as the plan knows it.
Json identity_of(const Job& job, int version, const std::string& device) {
  Json identity = {{"version", version}, {"checkpoint", job.model.at("sha256")}};
  const std::string compute = text_or(job.settings, "compute_type", kAuto);
  if (compute != kAuto) identity["compute"] = compute;
  if (job.model.get().contains("weights")) identity["weights"] = job.model.at("weights");
  identity["device"] = text_or(job.settings, "device", kAuto) == "cpu" ? this_cpu_model() : device;
  return identity;
}

double flops_of(const ModelShape& shape, double images) {
  const double tokens = shape.tokens();
  return images * shape.blocks * tokens * shape.block_flops_per_token(tokens / 2);
}

// "" or " in float32".
std::string in_compute(const Job& job) {
  const std::string compute = text_or(job.settings, "compute_type", kAuto);
  return compute == kAuto ? "" : fmt::format(" in {}", compute);
}

Preparation calibration(const Job& job, size_t index) {
  const double flops =
      flops_of(shape_from_json(job.model.at("shape")), static_cast<double>(kCalibrationImages));
  return {fmt::format("a calibration of {} for adaptive windows will be made once{}: {} images "
                      "sampled sequentially, {:.3g} TFLOP",
                      job.model.at("name").get<std::string>(), in_compute(job), kCalibrationImages,
                      flops / 1e12),
          flops, index};
}

// Images that the jobs of a tuning sample at once.
double batch_of(const Job& job) {
  if (job.experiment == kTune) return number_or(job.settings, "batch", 1);
  return std::min(number_or(job.settings, "chunk", 1), number_or(job.settings, "num_images", 1));
}

Json tuning_identity(const Job& job, double deviation, const std::string& device) {
  Json identity = identity_of(job, kTuningVersion, device);
  identity.update({{"batch", static_cast<int64_t>(batch_of(job))},
                   {"cfg", number_or(job.settings, "cfg", 0)},
                   {"attn_temp", number_or(job.settings, "attn_temp", 1)},
                   {"deviation", deviation}});
  if (number_or(job.settings, "fd_rise", 0) == 0) identity["rise"] = nullptr;
  return identity;
}

Preparation tuning(const Job& job, double deviation, size_t index) {
  const double batch = batch_of(job), guided = number_or(job.settings, "cfg", 0) > 0 ? 2 : 1,
               images = std::max(batch, static_cast<double>(kTuningImages));
  const double flops =
      kTuningPasses * guided * flops_of(shape_from_json(job.model.at("shape")), images);
  return {fmt::format("a tuning of {} for deviation {}, {} images at once, cfg {}, will be made "
                      "once{}: about {:.2g} TFLOP",
                      job.model.at("name").get<std::string>(), deviation, batch,
                      number_or(job.settings, "cfg", 0), in_compute(job), flops / 1e12),
          flops, index};
}

}  // namespace

std::vector<Preparation> preparations(const Jobs& jobs, const fs::path& cache,
                                      const std::string& device) {
  Strategies strategies;
  Kept kept(cache);
  std::set<std::string> told;
  std::vector<Preparation> list;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    if (job.model.is_null()) continue;
    const auto missing = [&](const char* prefix, const Json& identity) {
      return told.insert(prefix + canonical(identity)).second && !kept.holds(prefix, identity);
    };
    Strategies::Needs needs = strategies.of(job);
    if (needs.deviation) {
      const Json identity = tuning_identity(job, *needs.deviation, device);
      if (missing(kTuningFile, identity)) {
        list.push_back(tuning(job, *needs.deviation, i));
        needs.calibration = true;
      }
    }
    if (!needs.calibration) continue;
    if (missing(kCalibrationFile, identity_of(job, kCalibrationVersion, device)))
      list.push_back(calibration(job, i));
  }
  return list;
}

}  // namespace tarflow::job
