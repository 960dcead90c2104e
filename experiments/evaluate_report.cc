#include "experiments/evaluate_report.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "experiments/worker/saved_images.h"
#include "framework/metrics/frechet.h"
#include "framework/metrics/kid.h"
#include "framework/metrics/precision_recall.h"
#include "framework/metrics/uncertainty.h"

namespace tarflow::experiments {
namespace {

constexpr int64_t kNeighbours = 3;  // of precision and recall

}  // namespace

void FeatureReport::note(const std::string& line) {
  if (noted_.insert(line).second) context_.log("note: " + line);
}

void FeatureReport::add(size_t point, const FeatureTotals& features,
                        const metrics::Extractor& extractor, LoadedReference& reference,
                        const at::Device& device) {
  const metrics::Gaussian& real = reference.statistics.gaussian;
  const metrics::Moments all = features.moments.total();
  context_.set(point, "distance_name", metrics::distance_name(extractor));
  context_.set(point, "distance_images", all.count);
  if (real.count > 0) context_.set(point, "reference_images", real.count);
  context_.set(point, "features", real.mean.numel());
  if (all.count < 2) {  // two images at least make a covariance
    if (all.count < settings_.num_images && settings_.num_images > 1) {
      context_.add_status(point,
                          fmt::format("no distance: a covariance needs 2 finite samples, and "
                                      "there {} {}",
                                      all.count == 1 ? "is" : "are", all.count));
    }
    return;
  }
  const metrics::Gaussian gaussian = all.gaussian();
  const double distance = metrics::frechet_distance(gaussian, real);
  context_.set(point, "distance", distance);
  if (gaussian.fewer_samples_than_features()) {
    note(
        fmt::format("FEWER IMAGES THAN FEATURES, {} for {}: the covariance is singular and the "
                    "distance depends on the number of images",
                    all.count, gaussian.mean.numel()));
  }
  add_moments(point, features, all);
  add_error(point, features, distance, reference);
  add_samples(point, features, reference.statistics, device);
}

void FeatureReport::add_moments(size_t point, const FeatureTotals& features,
                                const metrics::Moments& all) {
  std::vector<int64_t> counts;
  std::vector<at::Tensor> sums, outers;
  const auto add = [&](const metrics::Moments& moments) {
    if (moments.count == 0) return;
    counts.push_back(moments.count);
    sums.push_back(moments.sum);
    outers.push_back(moments.outer);
  };
  for (const metrics::Moments& group : features.moments.groups()) add(group);
  const int64_t bytes = all.outer.numel() * 8 * static_cast<int64_t>(counts.size());
  if (bytes > metrics::kMomentBytes) {  // one group: all
    counts.clear();
    sums.clear();
    outers.clear();
    add(all);
  }
  const std::vector<std::string> id = {context_.point_id(point)};
  context_.add("moments/<point>/count", id, array_values(counts));
  context_.add("moments/<point>/sum", id, array_values(at::stack(sums)));
  context_.add("moments/<point>/outer", id, array_values(at::stack(outers)));
}

void FeatureReport::add_error(size_t point, const FeatureTotals& features, double distance,
                              LoadedReference& reference) {
  const std::vector<metrics::Moments> groups = metrics::jackknife_groups(features.moments.groups());
  const int64_t count = static_cast<int64_t>(groups.size());
  context_.set(point, "distance_groups", count);
  if (count < metrics::kFewestJackknifeGroups) {
    note(fmt::format(
        "no standard error of the distance: it needs {} groups of images, and there {} {}; a "
        "`chunk` of at most {} and {} images make as many",
        metrics::kFewestJackknifeGroups, count == 1 ? "is" : "are", count,
        std::max<int64_t>(settings_.num_images / metrics::kFewestJackknifeGroups, 1),
        std::max(settings_.num_images, metrics::kFewestJackknifeGroups)));
    return;
  }
  if (!reference.root) {
    reference.root =
        std::make_shared<const metrics::FrechetReference>(reference.statistics.gaussian);
  }
  const metrics::Jackknife jackknife = metrics::jackknife(
      groups, distance,
      [&](const metrics::Gaussian& part) { return reference.root->distance(part); });
  context_.set(point, "distance_error", jackknife.error);
  const std::vector<std::string> id = {context_.point_id(point)};
  context_.add("jackknife/<point>/distance", id, array_values(jackknife.values));
  context_.add("jackknife/<point>/count", id, array_values(jackknife.left_out));
}

void FeatureReport::add_samples(size_t point, const FeatureTotals& features,
                                const Reference& reference, const at::Device& device) {
  if (features.kept_count == 0) return;
  if (!reference.features.defined()) {
    note(
        "no KID, precision or recall: the reference has statistics alone; a folder of images has "
        "features");
    return;
  }
  context_.set(point, "feature_samples", features.kept_count);
  const at::Tensor fake = at::cat(features.kept).to(device);
  add_kid(point, reference.features, fake);
  if (std::min(fake.size(0), reference.features.size(0)) <= kNeighbours) {
    note(fmt::format("no precision and recall: they need more than {} samples and real images",
                     kNeighbours));
    return;
  }
  const metrics::PrecisionRecall shares =
      metrics::precision_recall(reference.features, fake, kNeighbours);
  context_.set(point, "precision", shares.precision);
  context_.set(point, "recall", shares.recall);
}

void FeatureReport::add_kid(size_t point, const at::Tensor& real, const at::Tensor& fake) {
  const int64_t fewer = std::min(fake.size(0), real.size(0));
  if (fewer < settings_.kid_subset_size) {
    note(fmt::format(
        "no KID: there are {} samples and {} features of real images, fewer than the "
        "{} of a subset; `kid_subset_size: {}` would give one, of another meaning",
        fake.size(0), real.size(0), settings_.kid_subset_size, std::max<int64_t>(fewer, 2)));
    return;
  }
  metrics::KidOptions options;
  options.subset_size = settings_.kid_subset_size;
  options.seed = static_cast<uint64_t>(settings_.seed);
  const metrics::Kid kid = metrics::kernel_distance(real, fake, options);
  context_.set(point, "kid", kid.mean);
  context_.set(point, "kid_deviation", kid.deviation);
}

std::vector<Column> feature_columns() {
  const auto number = [](const char* name, const char* description) {
    return Column{name, ColumnType::kFloat64, "", description};
  };
  const auto count = [](const char* name, const char* description) {
    return Column{name, ColumnType::kInt64, "", description};
  };
  return {number("distance", "Frechet distance of the features to the reference"),
          number("distance_error",
                 "standard error of the distance by leaving out one group of images at a time; "
                 "absent with fewer than 10 groups"),
          count("distance_groups", "groups of consecutive chunks that distance_error comes from"),
          {"distance_name", ColumnType::kString, "",
           "FID only with the FID's own weights, else FD(extractor)"},
          count("distance_images", "samples in the distance"),
          count("reference_images",
                "real images in the distance; absent where their statistics do not say"),
          count("features", "width of the features"),
          count("feature_samples", "samples that kid, precision and recall come from"),
          number("kid",
                 "kernel distance to the reference's features, a mean over 100 subsets of "
                 "kid_subset_size; KID with the FID's own weights"),
          number("kid_deviation", "standard deviation of kid over the subsets"),
          number("precision", "share of samples among the real images, of 3 neighbours"),
          number("recall", "share of real images among the samples, of 3 neighbours")};
}

std::vector<ArrayInfo> feature_arrays() {
  return {{"moments/<point>/count",
           ElementType::kInt64,
           {"group of consecutive chunks"},
           "",
           "images whose features were added up; one group per chunk if all groups take at most 64 "
           "MiB"},
          {"moments/<point>/sum",
           ElementType::kFloat64,
           {"group of consecutive chunks", "feature"},
           "",
           "sum of the features f"},
          {"moments/<point>/outer",
           ElementType::kFloat64,
           {"group of consecutive chunks", "feature", "feature"},
           "",
           "sum of f f^T"},
          {"jackknife/<point>/distance",
           ElementType::kFloat64,
           {"group of consecutive chunks"},
           "",
           "the distance without the images of that group"},
          {"jackknife/<point>/count",
           ElementType::kInt64,
           {"group of consecutive chunks"},
           "",
           "images of that group"}};
}

std::vector<Column> evaluate_columns() {
  const auto seconds = [](const char* name, const char* description) {
    return Column{name, ColumnType::kFloat64, "s", description, true};
  };
  std::vector<Column> columns = {
      seconds("denoise_seconds",
              "gradient and self-denoising step; the gradient is shared by all values of "
              "self_denoising_lr"),
      seconds("feature_seconds", "feature extraction and sums"),
      seconds("total_seconds",
              "the time as the published tables define it: sampling, self-denoising, gathering "
              "(nothing on one device) and feature extractor, for this point alone; of several "
              "ranks the longest of each"),
      seconds("gather_seconds", "bringing the ranks' results to rank 0; 0 in one process"),
      seconds("everything_seconds",
              "wall clock of all chunks for all points of the job together, with what no other "
              "column counts: noise, copies, checks, partial results"),
      {"images_per_second", ColumnType::kFloat64, "1/s", "num_images / total_seconds", true},
      {"foreign_cpu_share", ColumnType::kFloat64, "",
       "CPU time of other processes over that of the machine", true},
      {"ranks", ColumnType::kInt64, "", "processes that shared the job, one a GPU", true},
      {"exclusive", ColumnType::kInt64, "",
       "1: the job had its device to itself, so its times count", true},
      {"interrupted", ColumnType::kInt64, "",
       "1: the job was stopped and continued, so its times do not count", true},
      {"smoke", ColumnType::kInt64, "",
       "1: a trial run with few images, perhaps with an untrained model"},
      nonfinite_column(),
      saved_images_column()};
  for (Column& column : feature_columns()) columns.push_back(std::move(column));
  for (Column& column : work_columns()) columns.push_back(std::move(column));
  return columns;
}

std::vector<ArrayInfo> evaluate_arrays() {
  std::vector<ArrayInfo> arrays = work_arrays();
  arrays.push_back({"images/before_denoising",
                    ElementType::kFloat32,
                    {"image", "channel", "row", "column"},
                    "",
                    "the first images in [-1, 1], unclipped, before self-denoising"});
  arrays.push_back(labels_array());
  for (ArrayInfo& array : feature_arrays()) arrays.push_back(std::move(array));
  return arrays;
}

}  // namespace tarflow::experiments
