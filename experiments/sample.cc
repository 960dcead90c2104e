// Images from given noise, or by seed, to HDF5 and PNG.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "experiments/registry.h"
#include "experiments/sampling_job.h"
#include "framework/core/error.h"
#include "framework/images/grid.h"
#include "framework/images/image.h"
#include "framework/images/png.h"
#include "framework/record/dataset_file.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr int64_t kGridImages = 64;

struct Settings : SamplingSettings {
  double self_denoising_lr = 0;
  std::string noise, noise_dataset = "noise", labels_dataset = "labels";
  double noise_scale = 1;
  bool trace = false;

  void bind(Binder& binder) {
    SamplingSettings::bind(binder);
    bind_self_denoising(binder, self_denoising_lr);
    binder.path(
        noise,
        {.name = "noise",
         .description =
             "HDF5 file with the standard normal noise (N, T, D) and, for conditional models, "
             "labels (N); without it both follow from the seed.",
         .example = "noise.h5",
         .identity = Identity::kContent});
    binder.text(noise_dataset,
                {.name = "noise_dataset", .description = "Dataset of the noise in that file."});
    binder.text(labels_dataset,
                {.name = "labels_dataset", .description = "Dataset of the labels in that file."});
    binder.number(noise_scale, {.name = "noise_scale",
                                .description = "Factor on the noise before the prior's variance.",
                                .minimum = 0});
    binder.boolean(trace,
                   {.name = "trace", .description = "Also keep the state after every block."});
  }
};

struct Inputs {
  at::Tensor noise;  // (N, T, D) on the CPU
  Labels labels;
};

Inputs inputs_from_file(const Settings& settings, const Model& model) {
  const record::Array noise = record::read_dataset(settings.noise, settings.noise_dataset);
  const std::vector<int64_t> token = {model.shape.tokens(), model.shape.token_width()};
  if (noise.shape.size() != 3 || noise.shape[1] != token[0] || noise.shape[2] != token[1]) {
    throw Error(fmt::format("`{}` of {} is not (N, {}, {})", settings.noise_dataset, settings.noise,
                            token[0], token[1]));
  }
  if (noise.shape[0] < settings.num_images) {
    throw Error(fmt::format("{} holds noise of {} images, num_images is {}", settings.noise,
                            noise.shape[0], settings.num_images));
  }
  const std::vector<double> values = record::to_doubles(noise);
  const int64_t elements = settings.num_images * token[0] * token[1];
  Inputs inputs;
  inputs.noise = at::empty({settings.num_images, token[0], token[1]}, at::kFloat);
  std::transform(values.begin(), values.begin() + elements, inputs.noise.mutable_data_ptr<float>(),
                 [](double value) { return static_cast<float>(value); });
  if (model.shape.classes > 0) {
    const record::Array labels = record::read_dataset(settings.noise, settings.labels_dataset);
    const std::vector<double> all = record::to_doubles(labels);
    if (static_cast<int64_t>(all.size()) < settings.num_images) {
      throw Error(fmt::format("`{}` of {} has fewer labels than images", settings.labels_dataset,
                              settings.noise));
    }
    for (int64_t i = 0; i < settings.num_images; ++i)
      inputs.labels.push_back(static_cast<int64_t>(all[static_cast<size_t>(i)]));
  }
  return inputs;
}

void write_grid(const std::filesystem::path& file, const at::Tensor& images) {
  const int side = static_cast<int>(images.size(2));
  const at::Tensor values = images.cpu().contiguous();
  std::vector<images::Image> cells;
  for (int64_t i = 0; i < values.size(0); ++i) {
    const at::Tensor image = values[i];
    cells.push_back(images::to_image(
        {image.const_data_ptr<float>(), static_cast<size_t>(image.numel())}, side, side));
  }
  images::write_png(file, images::grid(cells, {.columns = 8}));
}

SampleOptions options_of(JobContext& context, const Settings& settings, const Model& model) {
  SampleOptions options = sample_options(context, settings, model);
  options.keep_trace = settings.trace;
  return options;
}

// The images of a run, gathered chunk by chunk.
class Samples {
 public:
  explicit Samples(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.settings())),
        device_(device_from(settings_.device)),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        sampler_(model_, options_of(context, settings_, model_)),
        denoised_(context.point_count()) {
    if (!settings_.noise.empty()) given_ = inputs_from_file(settings_, model_);
    if (!settings_.noise.empty() && !settings_.labels.empty()) {
      throw Error("with `noise` the labels come from its file, and there is `labels` besides",
                  "leave `labels` out");
    }
    for (size_t i = 0; i < context.point_count(); ++i) {
      rates_.push_back(read_settings<Settings>(context.point_settings(i)).self_denoising_lr);
    }
  }

  void run() {
    context_.progress("sampling", 0, settings_.num_images);
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      context_.stop_if_requested();
      sample_chunk(chunk);
      context_.progress("sampling", chunk.first + chunk.count, settings_.num_images);
    }
    report();
  }

 private:
  Inputs inputs_of(const Chunk& chunk) const {
    const uint64_t seed = static_cast<uint64_t>(settings_.seed);
    if (!given_.noise.defined())
      return {noise_of(model_, seed, chunk), labels_of(model_, settings_, chunk)};
    Inputs inputs{given_.noise.slice(0, chunk.first, chunk.first + chunk.count).to(device_), {}};
    if (!given_.labels.empty()) {
      const auto first = given_.labels.begin() + chunk.first;
      inputs.labels.assign(first, first + chunk.count);
    }
    return inputs;
  }

  void sample_chunk(const Chunk& chunk) {
    const Inputs inputs = inputs_of(chunk);
    const at::Tensor noise = inputs.noise * settings_.noise_scale;
    sampler_.prepare(chunk.count);
    const Stopwatch sampling(device_);
    const SampleResult result = sampler_.sample(noise, inputs.labels);
    sampling_seconds_ += sampling.seconds();
    work_.add(result, chunk.count);
    images_.push_back(result.images.cpu());
    if (settings_.trace) traces_.push_back(at::stack(result.trace).cpu());
    at::Tensor gradient;  // one serves every rate
    for (size_t i = 0; i < rates_.size(); ++i) {
      if (rates_[i] != 0 && !gradient.defined())
        gradient = loss_gradient(model_, result.images, inputs.labels);
      denoised_[i].push_back(rates_[i] == 0
                                 ? images_.back()
                                 : self_denoise(model_, result.images, gradient, rates_[i]).cpu());
    }
  }

  void report() {
    context_.add("images/before_denoising", {}, array_values(at::cat(images_)));
    if (settings_.trace) context_.add("images/trace", {}, array_values(at::cat(traces_, 1)));
    for (size_t i = 0; i < rates_.size(); ++i)
      report_final(context_.point_id(i), at::cat(denoised_[i]));
    report_work(context_, model_, settings_, work_, sampling_seconds_);
  }

  void report_final(const std::string& point, const at::Tensor& images) {
    context_.add("images/final/<point>", {point}, array_values(images));
    const std::filesystem::path png = context_.folder() / fmt::format("samples_{}.png", point);
    write_grid(png, images.slice(0, 0, kGridImages));
    context_.log(fmt::format("first images: {}", png.string()));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  ChunkSampler sampler_;
  Inputs given_;
  std::vector<double> rates_;  // self_denoising_lr of each point
  std::vector<at::Tensor> images_, traces_;
  std::vector<std::vector<at::Tensor>> denoised_;  // by point
  WorkTotals work_;
  double sampling_seconds_ = 0;
};

void run(JobContext& context) { Samples(context).run(); }

std::vector<ArrayInfo> arrays() {
  std::vector<ArrayInfo> arrays = work_arrays();
  arrays.insert(arrays.end(), {{"images/before_denoising",
                                ElementType::kFloat32,
                                {"image", "channel", "row", "column"},
                                "",
                                "images in [-1, 1], unclipped, before self-denoising"},
                               {"images/trace",
                                ElementType::kFloat32,
                                {"state", "image", "channel", "row", "column"},
                                "",
                                "raw noise, then the state after blocks K-1 to 0"},
                               {"images/final/<point>",
                                ElementType::kFloat32,
                                {"image", "channel", "row", "column"},
                                "",
                                "images after self-denoising"}});
  return arrays;
}

const bool registered = register_experiment<Settings>(
    {.name = "sample",
     .description = "Samples images from given noise or by seed; they go to the record and to PNG.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = work_columns(),
     .arrays = arrays(),
     .work = Work::kSampling},
    run);

}  // namespace
}  // namespace tarflow::experiments
