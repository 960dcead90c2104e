// Images from given noise, or by seed, to HDF5 and PNG.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "experiments/worker/noise_input.h"
#include "experiments/worker/pictures.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "experiments/worker/saved_images.h"
#include "framework/images/grid.h"
#include "framework/images/png.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr int64_t kGridImages = 64;

struct Settings : SamplingSettings {
  double self_denoising_lr = kSelfDenoisingLr;
  NoiseSettings noise;
  bool trace = false;
  std::string save_images = job::kNoImages;

  void bind(Binder& binder) {
    SamplingSettings::bind(binder);
    bind_self_denoising(binder, self_denoising_lr);
    noise.bind(binder);
    binder.boolean(trace,
                   {.name = "trace", .description = "Also keep the state after every block."});
    bind_save_images(binder, save_images);
  }
};

SampleOptions options_of(JobContext& context, const Settings& settings, const Model& model,
                         const std::vector<double>& rates) {
  const bool denoised =
      std::any_of(rates.begin(), rates.end(), [](double rate) { return rate != 0; });
  SampleOptions options = sample_options(context, settings, model, denoised);
  options.keep_trace = settings.trace;
  return options;
}

std::vector<double> rates_of(JobContext& context) {
  std::vector<double> rates;
  for (size_t i = 0; i < context.point_count(); ++i)
    rates.push_back(read_settings<Settings>(context.point_settings(i)).self_denoising_lr);
  return rates;
}

// The images of a run, gathered chunk by chunk.
class Samples {
 public:
  explicit Samples(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.settings())),
        device_(context.device()),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        rates_(rates_of(context)),
        sampler_(model_, watched(options_of(context, settings_, model_, rates_)),
                 batch_options(context, settings_,
                               std::any_of(rates_.begin(), rates_.end(),
                                           [](double rate) { return rate != 0; }))),
        input_(context, settings_.noise, settings_, model_),
        saved_(context, settings_.save_images, each_point(context.point_count())),
        denoised_(context.point_count()),
        left_out_(context.point_count()) {
    for (const double rate : rates_) require_noise_level(rate, model_.shape.noise_std);
  }

  void run() {
    saved_.begin(0);
    context_.progress(kSamplingPhase, 0, settings_.num_images);
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      context_.stop_if_requested();
      at_hand_ = chunk;
      sample_chunk(chunk);
      context_.progress(kSamplingPhase, chunk.first + chunk.count, settings_.num_images);
    }
    report();
  }

 private:
  // Each point has images of its own.
  static std::vector<std::vector<size_t>> each_point(size_t points) {
    std::vector<std::vector<size_t>> sets;
    for (size_t i = 0; i < points; ++i) sets.push_back({i});
    return sets;
  }

  // The options with which the chunk at hand is told of while it is sampled.
  SampleOptions watched(SampleOptions options) {
    options.on_progress = [this](double share) {
      context_.progress_inside(kSamplingPhase, at_hand_.first, settings_.num_images, at_hand_.count,
                               share);
    };
    return options;
  }

  void sample_chunk(const Chunk& chunk) {
    const at::Tensor noise = input_.noise(chunk);
    const Labels labels = input_.labels(chunk);
    labels_.insert(labels_.end(), labels.begin(), labels.end());
    sampler_.prepare(chunk.count);
    const Stopwatch sampling(device_);
    const SampleResult result = sampler_.sample(noise, labels);
    sampling_seconds_ += sampling.seconds();
    work_.add(result, chunk.count);
    images_.push_back(result.images.cpu());
    at::Tensor finite = finite_rows(result.images);
    if (settings_.trace) {
      traces_.push_back(at::stack(result.trace).cpu());
      finite = finite.logical_and(finite_rows(at::stack(result.trace, 1)));
    }
    at::Tensor gradient;  // one serves every rate
    for (size_t i = 0; i < rates_.size(); ++i) {
      if (rates_[i] != 0 && !gradient.defined())
        gradient = sampler_.gradient(result.images, labels);
      denoised_[i].push_back(rates_[i] == 0
                                 ? images_.back()
                                 : self_denoise(model_, result.images, gradient, rates_[i]).cpu());
      const at::Tensor own = finite.logical_and(finite_rows(denoised_[i].back()));
      require_finite(settings_.nonfinite, own, chunk.first,
                     fmt::format("with self_denoising_lr {}", rates_[i]));
      left_out_.add(i, own);
      saved_.add(i, chunk, rows_where(denoised_[i].back(), own), own, labels);
    }
  }

  void report() {
    left_out_.report(context_);
    saved_.finish(static_cast<int64_t>(chunks_of(settings_.num_images, settings_.chunk).size()));
    add_labels(context_, labels_);
    context_.add("images/before_denoising", {}, array_values(at::cat(images_)));
    if (settings_.trace) context_.add("images/trace", {}, array_values(at::cat(traces_, 1)));
    for (size_t i = 0; i < rates_.size(); ++i)
      report_final(context_.point_id(i), at::cat(denoised_[i]));
    report_work(context_, model_, work_, sampling_seconds_);
  }

  void report_final(const std::string& point, const at::Tensor& images) {
    context_.add("images/final/<point>", {point}, array_values(images));
    const std::filesystem::path png = context_.folder() / fmt::format("samples_{}.png", point);
    images::write_png(png,
                      images::grid(pictures_of(images.slice(0, 0, kGridImages)), {.columns = 8}));
    context_.log(fmt::format("first images: {}", png.string()));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  const std::vector<double> rates_;  // self_denoising_lr of each point
  ChunkSampler sampler_;
  const NoiseInput input_;
  SavedImages saved_;
  Labels labels_;  // of all images
  std::vector<at::Tensor> images_, traces_;
  std::vector<std::vector<at::Tensor>> denoised_;  // by point
  LeftOut left_out_;
  WorkTotals work_;
  double sampling_seconds_ = 0;
  Chunk at_hand_;
};

void run(JobContext& context) { Samples(context).run(); }

std::vector<Column> columns() {
  std::vector<Column> columns = work_columns();
  columns.push_back({nonfinite_column().name, ColumnType::kInt64, "",
                     "images with a value that is not finite; the arrays hold them as they are"});
  columns.push_back(saved_images_column());
  return columns;
}

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
                                "images after self-denoising"},
                               labels_array()});
  return arrays;
}

const bool registered = register_experiment<Settings>(
    {.name = "sample",
     .description = "Samples images from given noise or by seed, into the record and a PNG.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = columns(),
     .arrays = arrays(),
     .work = Work::kSampling},
    run);

}  // namespace
}  // namespace tarflow::experiments
