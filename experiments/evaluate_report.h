// What evaluate says of one point's features: the distance and how certain it is, KID, precision
// and recall.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "experiments/evaluate_settings.h"
#include "experiments/evaluate_totals.h"
#include "experiments/worker/job_context.h"
#include "experiments/worker/reference.h"
#include "framework/metrics/extractor.h"

namespace tarflow::experiments {

// Real images as one extractor sees them.
struct LoadedReference {
  std::string extractor, path;
  Reference statistics;
  std::shared_ptr<const metrics::FrechetReference> root = {};  // made when a jackknife needs it
};

// Cells and arrays of points, one after another.
class FeatureReport {
 public:
  // Keeps references to both.
  FeatureReport(JobContext& context, const EvaluateSettings& settings)
      : context_(context), settings_(settings) {}

  void add(size_t point, const FeatureTotals& features, const metrics::Extractor& extractor,
           LoadedReference& reference, const at::Device& device);

 private:
  void add_moments(size_t point, const FeatureTotals& features, const metrics::Moments& all);
  void add_error(size_t point, const FeatureTotals& features, double distance,
                 LoadedReference& reference);
  void add_samples(size_t point, const FeatureTotals& features, const Reference& reference,
                   const at::Device& device);
  void add_kid(size_t point, const at::Tensor& real, const at::Tensor& fake);
  void note(const std::string& line);  // into the log, once

  JobContext& context_;
  const EvaluateSettings& settings_;
  std::set<std::string> noted_;
};

// What FeatureReport writes.
std::vector<Column> feature_columns();
std::vector<ArrayInfo> feature_arrays();

// All that evaluate writes.
std::vector<Column> evaluate_columns();
std::vector<ArrayInfo> evaluate_arrays();

}  // namespace tarflow::experiments
