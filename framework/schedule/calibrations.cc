#include "framework/schedule/calibrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "framework/core/calibration.h"
#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/record/dataset_file.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr const char* kAuto = "auto";  // a compute type that the device decides

// Whether strategies, each parsed once, need a calibration.
class Needs {
 public:
  bool of(const Job& job) {
    return of(job.settings) ||
           std::any_of(job.points.begin(), job.points.end(),
                       [&](const JobPoint& point) { return of(point.settings); });
  }

 private:
  bool of(const sweep::Settings& settings) {
    return std::any_of(settings.begin(), settings.end(), [&](const sweep::SettingPtr& setting) {
      const Json& value = setting->value;
      if (!value.is_object() || !value.contains("blocks")) return false;  // no strategy
      const auto [entry, fresh] = known_.try_emplace(setting, false);
      if (fresh) entry->second = strategy_from_json(value).needs_calibration();
      return entry->second;
    });
  }

  std::unordered_map<sweep::SettingPtr, bool> known_;
};

// The identities of calibrations that the folder holds.
std::vector<Json> kept_identities(const fs::path& cache) {
  std::vector<Json> identities;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(cache, failed)) {
    if (!entry.path().filename().string().starts_with(kCalibrationFile)) continue;
    try {
      identities.push_back(Json::parse(record::read_root_attribute(entry.path(), "identity")));
    } catch (const std::exception&) {
      // Not usable: the job makes it anew.
    }
  }
  return identities;
}

std::string compute_of(const Job& job) {
  const Json* const compute = job.settings.find("compute_type");
  return compute && compute->is_string() ? compute->get<std::string>() : kAuto;
}

bool is_of(const Json& identity, const Job& job) try {
  const std::string compute = compute_of(job);
  return identity.is_object() && identity.value("version", 0) == kCalibrationVersion &&
         identity.value("checkpoint", "") == job.model.at("sha256").get<std::string>() &&
         identity.value("weights", "") == job.model.get().value("weights", "") &&
         (compute == kAuto || identity.value("compute", "") == compute);
} catch (const Json::exception&) {
  return false;  // values of other types: not one of ours
}

double flops_of(const ModelShape& shape) {
  const double tokens = shape.tokens();
  return kCalibrationImages * shape.blocks * tokens * shape.block_flops_per_token(tokens / 2);
}

}  // namespace

std::string calibrations_text(const Jobs& jobs, const fs::path& cache) {
  Needs needs;
  std::vector<Json> kept;
  bool looked = false;
  std::set<std::string> told;
  std::string text;
  for (const Job& job : jobs) {
    if (job.model.is_null() || !needs.of(job)) continue;
    const std::string compute = compute_of(job);
    const std::string weights = job.model.get().value("weights", "");
    if (!told.insert(job.model.at("sha256").get<std::string>() + weights + compute).second)
      continue;
    if (!looked) kept = kept_identities(cache);
    looked = true;
    if (std::any_of(kept.begin(), kept.end(),
                    [&](const Json& identity) { return is_of(identity, job); }))
      continue;
    text += fmt::format(
        "a calibration of {} for adaptive windows will be made once{}: {} images sampled "
        "sequentially, {:.3g} TFLOP\n",
        job.model.at("name").get<std::string>(),
        compute == kAuto ? "" : fmt::format(" in {}", compute), kCalibrationImages,
        flops_of(shape_from_json(job.model.at("shape"))) / 1e12);
  }
  return text;
}

}  // namespace tarflow::schedule
