#include "experiments/train_looks.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "experiments/worker/sampling_job.h"
#include "framework/metrics/frechet.h"
#include "framework/metrics/likelihood.h"
#include "framework/tensor/noise.h"
#include "framework/training/batches.h"

namespace tarflow::experiments {
namespace {

constexpr int64_t kHeldOutBatch = 64;  // images at once
constexpr int64_t kSampleChunk = 64;

double normal_constant() { return 0.5 * std::log(2 * std::numbers::pi); }

}  // namespace

HeldOut::HeldOut(JobContext& context, const TrainSettings& settings)
    : settings_(settings),
      comm_(context.comm()),
      device_(context.device()),
      images_(context.read_folder(settings.held_out, [&] {
        return TrainingImages(context, {.folder = settings.held_out,
                                        .layout = settings.layout,
                                        .image_size = static_cast<int>(settings.image_size),
                                        .num_images = settings.held_out_images,
                                        .max_unreadable = settings.max_unreadable});
      })) {}

double HeldOut::loss(const Model& model) const {
  const int64_t ranks = comm_.size();
  at::Tensor sum = at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device_));
  for (int64_t first = comm_.rank() * kHeldOutBatch; first < count();
       first += ranks * kHeldOutBatch) {
    const int64_t end = std::min(first + kHeldOutBatch, count());
    std::vector<int64_t> places(static_cast<size_t>(end - first));
    std::iota(places.begin(), places.end(), first);
    sum += metrics::likelihood(model, noisy(places), {}).nats.sum();
  }
  comm_.begin_sum(sum);
  comm_.finish_sums();
  return sum.item<double>() / static_cast<double>(count()) - normal_constant();
}

// With the noise of bpd: image i has the same at every look.
at::Tensor HeldOut::noisy(const std::vector<int64_t>& places) const {
  const std::vector<uint32_t> taken(places.begin(), places.end());
  const at::Tensor images = model_input(images_.take(taken).pixels, settings_.shape(), device_);
  const at::Tensor noise =
      image_noise(settings_.noise_kind(), static_cast<uint64_t>(settings_.seed), places, 0,
                  images[0].numel())
          .to(device_);
  return training::noisy_images(images, noise, settings_.noise_kind(), settings_.noise_std);
}

double loss_in_bits(double loss) { return metrics::bits_per_dimension(loss + normal_constant()); }

at::Tensor sampled_images(const Model& model, const TrainSettings& settings, int64_t first,
                          int64_t count) {
  const c10::NoGradGuard no_grad;
  SampleOptions options;
  options.strategy.name = "For";
  options.strategy.blocks.resize(static_cast<size_t>(model.shape.blocks));
  options.guidance.cfg = settings.samples_cfg;
  BatchSampler sampler(model, options);
  const auto seed = static_cast<uint64_t>(settings.seed);
  std::vector<at::Tensor> images;
  for (const int64_t end = first + count; first < end; first += kSampleChunk) {
    const Chunk chunk{0, first, std::min(kSampleChunk, end - first)};
    images.push_back(
        sampler.sample(noise_of(model, seed, chunk), labels_of(model, seed, chunk)).images);
  }
  return at::cat(images);
}

SampleDistance::SampleDistance(JobContext& context, const TrainSettings& settings)
    : settings_(settings),
      comm_(context.comm()),
      extractor_(load_extractor(context, settings.extractor,
                                metrics::precision_from(settings.extractor_precision),
                                settings.image_size)),
      reference_(load_reference(context, settings.reference, settings.layout, extractor_,
                                static_cast<int>(settings.image_size))
                     .gaussian),
      name_(metrics::distance_name(extractor_)) {}

double SampleDistance::of(const Model& model) const {
  const int64_t total = settings_.distance_images, ranks = comm_.size();
  const auto numbers = at::TensorOptions().dtype(at::kDouble).device(model.device);
  const int64_t width = reference_.mean.numel();
  at::Tensor sum = at::zeros({width}, numbers), outer = at::zeros({width, width}, numbers),
             spoilt = at::zeros({}, numbers);
  for (int64_t first = comm_.rank() * kSampleChunk; first < total; first += ranks * kSampleChunk) {
    const at::Tensor images =
        sampled_images(model, settings_, first, std::min(kSampleChunk, total - first));
    spoilt += at::isfinite(images).logical_not().sum();
    const at::Tensor features =
        extractor_.any_features(metrics::to_uint8(images)).to(model.device, at::kDouble);
    sum += features.sum(0);
    outer += features.t().matmul(features);
  }
  for (const at::Tensor& one : {sum, outer, spoilt}) comm_.begin_sum(one);
  comm_.finish_sums();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (spoilt.item<double>() > 0) return nan;
  const metrics::Moments moments{total, sum.cpu(), outer.cpu()};
  // The covariance of the reference is rank 0's alone.
  return comm_.first() ? metrics::frechet_distance(reference_, moments.gaussian()) : nan;
}

}  // namespace tarflow::experiments
