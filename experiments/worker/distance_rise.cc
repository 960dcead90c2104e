#include "experiments/worker/distance_rise.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>

#include "experiments/worker/reference.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/metrics/uncertainty.h"
#include "framework/model/forward.h"

namespace tarflow::experiments {
namespace {

// A seed that nothing else uses, as that of the trials: images are sampled from small ones.
constexpr uint64_t kRiseSeed = 0x7C4E000000000002;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

DistanceRise::DistanceRise(JobContext& context, const Model& model, const RiseSettings& settings)
    : context_(context),
      model_(model),
      settings_(settings),
      extractor_(load_extractor(context, settings.extractor,
                                metrics::precision_from(settings.extractor_precision),
                                model.shape.image_size)),
      name_(metrics::distance_name(extractor_)) {
  Reference reference = load_reference(context, settings.reference, settings.layout, extractor_,
                                       model.shape.image_size);
  if (context.comm().first()) reference_.emplace(std::move(reference.gaussian));
}

DistanceRise::Distances DistanceRise::distances(
    const Strategy& strategy, const TuningRequest& request,
    const std::shared_ptr<const Calibration>& calibration) const {
  SampleOptions options;
  options.strategy = strategy;
  options.guidance = request.guidance;
  options.calibration = calibration;
  BatchOptions batch = request.memory;
  batch.self_denoising = settings_.self_denoising_lr > 0;
  BatchSampler sampler(model_, options, batch);
  std::vector<metrics::Moments> parts;
  Distances result;
  for (const Chunk& chunk : chunks_of(settings_.images, request.batch)) {
    context_.stop_if_requested();
    context_.progress(fmt::format("sampling for {}", name_), chunk.first, settings_.images);
    const Labels labels = labels_of(model_, kRiseSeed, chunk);
    at::Tensor images = sampler.sample(noise_of(model_, kRiseSeed, chunk), labels).images;
    if (settings_.self_denoising_lr > 0) {
      images = self_denoise(model_, images, sampler.gradient(images, labels),
                            settings_.self_denoising_lr);
    }
    const c10::NoGradGuard no_grad;
    const at::Tensor features = extractor_.any_features(metrics::to_uint8(images));
    result.finite = images.isfinite().all().item<bool>() && features.isfinite().all().item<bool>();
    if (!result.finite) return result;
    metrics::Moments part;
    part.add(features);
    parts.push_back(std::move(part));
  }
  const auto distance = [&](const metrics::Gaussian& samples) {
    return reference_->distance(samples);
  };
  result.all = distance(metrics::combine(parts).gaussian());
  const std::vector<metrics::Moments> groups = metrics::jackknife_groups(parts);
  if (static_cast<int64_t>(groups.size()) < metrics::kFewestJackknifeGroups) return result;
  metrics::Jackknife jackknife = metrics::jackknife(groups, result.all, distance);
  result.without = std::move(jackknife.values);
  result.left_out = std::move(jackknife.left_out);
  return result;
}

Rise DistanceRise::of(const Strategy& strategy, const TuningRequest& request,
                      const std::shared_ptr<const Calibration>& calibration) {
  if (!sequential_) {
    const Strategy exact{"For", std::vector<BlockPlan>(model_.blocks.size())};
    sequential_ = distances(exact, request, calibration);
    if (!sequential_->finite || !(sequential_->all > 0)) {
      throw Error(fmt::format("the {} of sequential samples is not finite", name_),
                  "check the checkpoint with `evaluate` and strategy For");
    }
  }
  const Distances own = distances(strategy, request, calibration);
  if (!own.finite) return {kNone, kNone};
  Rise rise{own.all / sequential_->all - 1, kNone};
  if (own.without.empty() || own.without.size() != sequential_->without.size()) return rise;
  std::vector<double> differences, sizes;
  for (size_t g = 0; g < own.without.size(); ++g) {
    differences.push_back(own.without[g] - sequential_->without[g]);
    sizes.push_back(static_cast<double>(own.left_out[g]));
  }
  rise.error = jackknife_error(differences, sizes, own.all - sequential_->all) / sequential_->all;
  return rise;
}

}  // namespace tarflow::experiments
