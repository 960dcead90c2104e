#include "framework/checkpoint/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <string_view>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/npz.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSum = "real_features_sum";
constexpr const char* kOuter = "real_features_cov_sum";
constexpr const char* kCount = "real_features_num_samples";

void require_shape(const fs::path& path, std::string_view name, const std::vector<int64_t>& found,
                   const std::vector<int64_t>& expected) {
  if (found == expected) return;
  throw Error(fmt::format("{}: `{}` has shape {} instead of {}", path.string(), name,
                          shape_str(found), shape_str(expected)),
              "statistics hold a mean of F features and a covariance of F x F");
}

const TensorInfo& tensor(const Checkpoint& file, const char* name) {
  if (const TensorInfo* info = file.find(name)) return *info;
  throw Error(fmt::format("{} has no tensor `{}`", file.path().string(), name),
              "as statistics it must be the state_dict() of torchmetrics' "
              "FrechetInceptionDistance");
}

// F of a mean, which must be a vector with something in it.
int64_t width_of(const fs::path& path, std::string_view name, const std::vector<int64_t>& shape) {
  require_shape(path, name, shape, {shape.size() == 1 ? std::max<int64_t>(shape[0], 1) : 1});
  return shape[0];
}

FeatureStatistics read_torchmetrics(const fs::path& path) {
  const Checkpoint file = Checkpoint::open(path);
  const int64_t width = width_of(path, kSum, tensor(file, kSum).shape);
  require_shape(path, kOuter, tensor(file, kOuter).shape, {width, width});
  if (tensor(file, kCount).elements() != 1)
    require_shape(path, kCount, tensor(file, kCount).shape, {});
  FeatureStatistics statistics;
  statistics.count = file.read_i64(kCount).at(0);
  if (statistics.count < 2) {
    throw Error(fmt::format("{} was made from {} images; a covariance needs two at least",
                            path.string(), statistics.count));
  }
  statistics.mean = file.read_f64(kSum);
  statistics.covariance = file.read_f64(kOuter);
  const double n = static_cast<double>(statistics.count);
  for (double& value : statistics.mean) value /= n;
  const auto features = static_cast<size_t>(width);
  for (size_t i = 0; i < features; ++i) {
    for (size_t j = 0; j < features; ++j) {
      double& value = statistics.covariance[i * features + j];
      value = (value - n * statistics.mean[i] * statistics.mean[j]) / (n - 1);
    }
  }
  return statistics;
}

FeatureStatistics read_numpy(const fs::path& path) {
  const Npz file(path);
  NpyArray mean = file.read("mu"), covariance = file.read("sigma");
  const int64_t width = width_of(path, "mu", mean.shape);
  require_shape(path, "sigma", covariance.shape, {width, width});
  return {std::move(mean.values), std::move(covariance.values), 0};
}

void require_finite(const fs::path& path, const FeatureStatistics& statistics) {
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(statistics.mean, finite) ||
      !std::ranges::all_of(statistics.covariance, finite)) {
    throw Error(fmt::format("{} holds values that are not finite", path.string()),
                "make the statistics again");
  }
}

}  // namespace

StatisticsKind statistics_kind(const fs::path& path) {
  std::string head(2, '\0');
  std::ifstream(path, std::ios::binary).read(head.data(), 2);
  if (head[0] == '\x80' || head == "L1") return StatisticsKind::kTorchmetrics;
  if (head != "PK") return StatisticsKind::kOther;
  return is_checkpoint_archive(path) ? StatisticsKind::kTorchmetrics : StatisticsKind::kNumpy;
}

int64_t statistics_width(const fs::path& path) {
  if (statistics_kind(path) == StatisticsKind::kNumpy)
    return width_of(path, "mu", Npz(path).read("mu").shape);
  return width_of(path, kSum, tensor(Checkpoint::open(path), kSum).shape);
}

FeatureStatistics read_statistics(const fs::path& path) {
  FeatureStatistics statistics =
      statistics_kind(path) == StatisticsKind::kNumpy ? read_numpy(path) : read_torchmetrics(path);
  require_finite(path, statistics);
  return statistics;
}

}  // namespace tarflow::checkpoint
