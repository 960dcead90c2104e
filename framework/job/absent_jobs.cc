#include "framework/job/absent_jobs.h"

#include <algorithm>

#include "framework/job/content.h"

namespace tarflow::job {
namespace {

constexpr const char* kUnknownContent = "unknown";

// Nothing of the files of `points` is read.
void assume_all(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                ContentHasher& hasher) {
  for (const auto& [name, model] : sweep.models) {
    if (!model.checkpoint.empty()) hasher.assume(model.checkpoint, kUnknownContent);
  }
  for (const sweep::Point& point : sweep.points) {
    for (const Field& field : schema_of(schemas, point.experiment).fields) {
      const Json* path = field.type == FieldType::kPath ? point.settings.find(field.name) : nullptr;
      if (path) hasher.assume(path->get<std::string>(), kUnknownContent);
    }
  }
}

}  // namespace

Jobs absent_jobs(const sweep::Sweep& sweep, const std::vector<sweep::Point>& points,
                 const ExperimentSchemas& schemas, const DeviceModels& devices) {
  sweep::Sweep absent{sweep.name, sweep.file, sweep.models, {}, {}, {}, {}};
  std::copy_if(points.begin(), points.end(), std::back_inserter(absent.points),
               [](const sweep::Point& point) { return point.selected; });
  ContentHasher hasher{std::filesystem::path()};
  assume_all(absent, schemas, hasher);
  return plan_jobs(absent, schemas, devices, hasher);
}

size_t selected_count(const std::vector<sweep::Point>& points) {
  return static_cast<size_t>(std::count_if(
      points.begin(), points.end(), [](const sweep::Point& point) { return point.selected; }));
}

}  // namespace tarflow::job
