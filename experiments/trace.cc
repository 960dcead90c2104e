// The way from noise to image, block by block, a row a strategy (method.md section 3, "Sampling
// trace"). Points that differ only in strategy share a job, and so their pictures.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>

#include "experiments/worker/calibration.h"
#include "experiments/worker/noise_input.h"
#include "experiments/worker/pictures.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings : SamplingSettings {
  double self_denoising_lr = kSelfDenoisingLr;
  NoiseSettings noise;

  Settings() { num_images = 4; }

  void bind(Binder& binder) {
    SamplingSettings::bind(binder, StrategyField::kShared);
    bind_self_denoising(binder, self_denoising_lr, /*shared=*/false);
    noise.bind(binder);
  }
};

constexpr int64_t kMostImages = 16;  // a strip each, to be looked at

// The states of one point's images.
struct PointTrace {
  Strategy strategy;
  std::vector<images::Image> pictures;  // image after image, state after state
  std::vector<float> ranges;            // the smallest and largest finite value of each
};

class Traces {
 public:
  explicit Traces(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.point_settings(0))),  // strategies are shared
        device_(context.device()),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        input_(context, settings_.noise, settings_, model_),
        left_out_(context.point_count()) {
    if (settings_.num_images > kMostImages) {
      throw Error(fmt::format("a trace of {} images", settings_.num_images),
                  fmt::format("`num_images` is at most {} here: each is a picture of its own; "
                              "`sample` with `trace: true` keeps any number",
                              kMostImages));
    }
    require_noise_level(settings_.self_denoising_lr, model_.shape.noise_std);
    std::vector<Strategy> strategies;
    for (size_t i = 0; i < context.point_count(); ++i)
      strategies.push_back(read_settings<Settings>(context.point_settings(i)).strategy);
    strategies = chosen_strategies(context, std::move(strategies), settings_.guesses, model_);
    calibration_ = calibration_for(context, strategies, model_, settings_.memory_limit);
    for (Strategy& strategy : strategies) points_.push_back({std::move(strategy), {}, {}});
  }

  void run() {
    SampleOptions options = settings_.options();
    options.strategy = points_.front().strategy;
    options.calibration = calibration_;
    options.keep_trace = true;
    const int64_t total = settings_.num_images * static_cast<int64_t>(points_.size());
    int64_t done = 0, count = 0;  // images of all strategies; of the chunk at hand
    options.on_progress = [&](double share) {
      context_.progress_inside(kSamplingPhase, done, total, count, share);
    };
    ChunkSampler sampler(model_, options,
                         batch_options(context_, settings_, settings_.self_denoising_lr != 0));
    context_.progress(kSamplingPhase, done, total);
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      for (size_t i = 0; i < points_.size(); ++i) {
        context_.stop_if_requested();
        count = chunk.count;
        trace(sampler, i, chunk);
        done += chunk.count;
        context_.progress(kSamplingPhase, done, total);
      }
    }
    report();
  }

 private:
  void trace(ChunkSampler& sampler, size_t index, const Chunk& chunk) {
    PointTrace& point = points_[index];
    const Labels labels = input_.labels(chunk);
    SampleResult result = sampler.sample(input_.noise(chunk), labels, point.strategy);
    if (settings_.self_denoising_lr != 0) {
      const at::Tensor gradient = sampler.gradient(result.images, labels);
      result.trace.push_back(
          self_denoise(model_, result.images, gradient, settings_.self_denoising_lr));
    }
    const at::Tensor states = at::stack(result.trace, 1).cpu();  // (n, states, 3, H, W)
    const at::Tensor finite = finite_rows(states);
    require_finite(settings_.nonfinite, finite, chunk.first,
                   fmt::format("in a state of strategy {}", point.strategy.name));
    left_out_.add(index, finite);
    for (int64_t i = 0; i < states.size(0); ++i) {
      for (int64_t s = 0; s < states.size(1); ++s) add_state(point, states[i][s]);
    }
  }

  void add_state(PointTrace& point, const at::Tensor& state) const {
    const at::Tensor values = state.contiguous();
    const int side = model_.shape.image_size;
    const std::span<const float> all(values.const_data_ptr<float>(),
                                     static_cast<size_t>(values.numel()));
    float least = std::numeric_limits<float>::quiet_NaN(), most = least;
    for (const float value : all) {
      if (!std::isfinite(value)) continue;
      if (!(least <= value)) least = value;
      if (!(most >= value)) most = value;
    }
    point.pictures.push_back(images::to_image_min_max(all, side, side));
    point.ranges.insert(point.ranges.end(), {least, most});
  }

  std::vector<std::string> headings() const {
    std::vector<std::string> names = {"noise"};
    for (int b = model_.shape.blocks - 1; b >= 0; --b) names.push_back(fmt::format("block {}", b));
    if (settings_.self_denoising_lr != 0) names.push_back("denoised");
    return names;
  }

  // A row a strategy.
  images::Image strip(int64_t image, const std::vector<std::string>& names) const {
    std::vector<Strategy> strategies;
    for (const PointTrace& point : points_) strategies.push_back(point.strategy);
    const std::vector<std::string> labels = strategy_labels(strategies);
    std::vector<images::StripRow> rows;
    for (size_t i = 0; i < points_.size(); ++i) {
      const auto first = points_[i].pictures.begin() + image * static_cast<int64_t>(names.size());
      rows.push_back({labels[i], {first, first + static_cast<int64_t>(names.size())}});
    }
    return images::strips(rows, names, strip_options(model_.shape.image_size));
  }

  void report() {
    left_out_.report(context_);
    const std::vector<std::string> names = headings();
    for (int64_t i = 0; i < settings_.num_images; ++i) {
      const std::string path =
          write_picture(context_, fmt::format("trace_{}.png", i), strip(i, names));
      if (i == 0) context_.set_all("picture", path);
    }
    const int64_t states = static_cast<int64_t>(names.size());
    for (size_t i = 0; i < points_.size(); ++i) {
      const std::vector<std::string> id = {context_.point_id(i)};
      const at::Tensor pixels = pixels_of(points_[i].pictures);
      context_.add("trace/<point>/images", id,
                   array_values(pixels.unflatten(0, {settings_.num_images, states})));
      const at::Tensor ranges = at::empty({settings_.num_images, states, 2}, at::kFloat);
      std::copy(points_[i].ranges.begin(), points_[i].ranges.end(),
                ranges.mutable_data_ptr<float>());
      context_.add("trace/<point>/ranges", id, array_values(ranges));
    }
    context_.add("trace/states", {}, array_values(names));
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(model_.compute));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  const NoiseInput input_;
  std::shared_ptr<const Calibration> calibration_;  // where a strategy needs it
  std::vector<PointTrace> points_;
  LeftOut left_out_;
};

void run(JobContext& context) { Traces(context).run(); }

const bool registered = register_experiment<Settings>(
    {.name = "trace",
     .description = "Pictures of the noise, the state after each block and the denoised image, one "
                    "row per strategy. Each state is scaled to its own range.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = {guess_column(),
                 {nonfinite_column().name, ColumnType::kInt64, "",
                  "images with a state that is not finite; the pictures show them black there"},
                 picture_column("the first image's strip, a row a strategy of the same job"),
                 {"smoke", ColumnType::kInt64, "",
                  "1: a trial run with few images, perhaps with an untrained model"},
                 {"compute", ColumnType::kString, "", "compute type the job ran in"}},
     .arrays = guess_arrays_and(
         {{"trace/states",
           ElementType::kString,
           {"state"},
           "",
           "names of the states: noise, after blocks K-1 to 0, denoised"},
          {"trace/<point>/images",
           ElementType::kUInt8,
           {"image", "state", "row", "column", "channel"},
           "",
           "states as pictures, each scaled from its smallest to its largest value"},
          {"trace/<point>/ranges",
           ElementType::kFloat32,
           {"image", "state", "smallest and largest"},
           "",
           "values of 0 and 255; NaN if no value is finite"}}),
     .work = Work::kSampling},
    run);

}  // namespace
}  // namespace tarflow::experiments
