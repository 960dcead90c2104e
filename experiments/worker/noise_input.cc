#include "experiments/worker/noise_input.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/record/dataset_file.h"

namespace tarflow::experiments {
namespace {

// (num_images, T, D) float32 on the CPU.
at::Tensor read_noise(const NoiseSettings& settings, const ModelShape& shape, int64_t num_images) {
  const record::Array noise = record::read_dataset(settings.noise, settings.noise_dataset);
  const int64_t tokens = shape.tokens(), width = shape.token_width();
  if (noise.shape.size() != 3 || noise.shape[1] != tokens || noise.shape[2] != width) {
    throw Error(fmt::format("`{}` of {} is not (N, {}, {})", settings.noise_dataset, settings.noise,
                            tokens, width));
  }
  if (noise.shape[0] < num_images) {
    throw Error(fmt::format("{} holds noise of {} images, num_images is {}", settings.noise,
                            noise.shape[0], num_images));
  }
  const std::vector<double> values = record::to_doubles(noise);
  const at::Tensor tensor = at::empty({num_images, tokens, width}, at::kFloat);
  std::transform(values.begin(), values.begin() + tensor.numel(), tensor.mutable_data_ptr<float>(),
                 [](double value) { return static_cast<float>(value); });
  return tensor;
}

constexpr double kMostLabel = 1e15;  // whole numbers are exact below

Labels read_labels(const NoiseSettings& settings, int64_t num_images) {
  const record::Array labels = record::read_dataset(settings.noise, settings.labels_dataset);
  const std::vector<double> all = record::to_doubles(labels);
  if (static_cast<int64_t>(all.size()) < num_images) {
    throw Error(fmt::format("`{}` of {} has fewer labels than images", settings.labels_dataset,
                            settings.noise));
  }
  Labels result;
  for (int64_t i = 0; i < num_images; ++i) {
    const double label = all[static_cast<size_t>(i)];
    if (!(std::abs(label) < kMostLabel) || label != std::floor(label)) {
      throw Error(fmt::format("label {} of image {} in `{}` of {} is no whole number", label, i,
                              settings.labels_dataset, settings.noise));
    }
    result.push_back(static_cast<int64_t>(label));
  }
  return result;
}

}  // namespace

void NoiseSettings::bind(Binder& binder) {
  binder.path(noise, {.name = "noise",
                      .description = "HDF5 file with the standard normal noise (N, T, D) and, for "
                                     "conditional models, labels (N). Default: both from the seed.",
                      .example = "noise.h5",
                      .identity = Identity::kContent});
  binder.text(noise_dataset,
              {.name = "noise_dataset", .description = "Dataset of the noise in that file."});
  binder.text(labels_dataset,
              {.name = "labels_dataset", .description = "Dataset of the labels in that file."});
  binder.number(noise_scale,
                {.name = "noise_scale",
                 .description = "Factor on the noise, before the variance of the prior is applied.",
                 .minimum = 0});
}

NoiseInput::NoiseInput(JobContext& context, const NoiseSettings& from,
                       const SamplingSettings& settings, const Model& model)
    : model_(model), settings_(settings), scale_(from.noise_scale) {
  if (from.noise.empty()) return;
  if (!settings.labels.empty()) {
    throw Error("with `noise` the labels come from its file, and there is `labels` besides",
                "leave `labels` out");
  }
  context.inputs().read(from.noise, [&] {
    noise_ = read_noise(from, model.shape, settings.num_images);
    if (model.shape.classes > 0) labels_ = read_labels(from, settings.num_images);
  });
  if (const at::Tensor finite = finite_rows(noise_); count_false(finite) > 0) {
    throw Error(fmt::format("the noise of {} in `{}` of {} is not finite",
                            names_of_false(finite, 0), from.noise_dataset, from.noise),
                "write the noise again");
  }
}

at::Tensor NoiseInput::noise(const Chunk& chunk) const {
  const at::Tensor noise =
      noise_.defined() ? noise_.slice(0, chunk.first, chunk.first + chunk.count).to(model_.device)
                       : noise_of(model_, static_cast<uint64_t>(settings_.seed), chunk);
  return noise * scale_;
}

Labels NoiseInput::labels(const Chunk& chunk) const {
  if (!noise_.defined()) return labels_of(model_, settings_, chunk);
  if (labels_.empty()) return {};
  const auto first = labels_.begin() + chunk.first;
  return {first, first + chunk.count};
}

}  // namespace tarflow::experiments
