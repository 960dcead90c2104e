// Samples of several strategies from the same noise, beside those of one they are compared with,
// and the differences. Points that differ only in strategy share a job, and so the picture.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "experiments/worker/calibration.h"
#include "experiments/worker/noise_input.h"
#include "experiments/worker/pictures.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings : SamplingSettings {
  Strategy against;
  double self_denoising_lr = kSelfDenoisingLr;
  double amplification = 4;
  int64_t shown = 8;
  NoiseSettings noise;

  void bind(Binder& binder) {
    SamplingSettings::bind(binder, StrategyField::kShared);
    binder.strategy(
        against,
        {.name = "against",
         .description = "The strategy that the others are compared with. Default: sequential.",
         .example = "For"});
    bind_self_denoising(binder, self_denoising_lr, /*shared=*/false);
    binder.number(amplification,
                  {.name = "amplification",
                   .description = "Factor on the differences in the pictures. Grey: no difference; "
                                  "white and black: 1 / amplification or more.",
                   .minimum = 1e-3,
                   .example = 16});
    binder.integer(shown,
                   {.name = "shown",
                    .description = "Number of images in the pictures: the first of num_images.",
                    .minimum = 1,
                    .maximum = 64});
    noise.bind(binder);
  }
};

// The means of squares of each image, (N) float64 on the CPU.
at::Tensor mean_squares(const at::Tensor& images) {
  return images.to(at::kDouble).square().mean(at::IntArrayRef{1, 2, 3}).cpu();
}

// Samples of one point, and how far they are from those it is compared with.
struct PointImages {
  Strategy strategy;
  std::vector<at::Tensor> shown;   // the first images, chunk by chunk
  std::vector<double> deviations;  // rms difference of each image; NaN where it is left out
  int64_t compared = 0;
};

class Comparison {
 public:
  explicit Comparison(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.point_settings(0))),  // strategies are shared
        device_(context.device()),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        input_(context, settings_.noise, settings_, model_),
        shown_(std::min(settings_.shown, settings_.num_images)),
        left_out_(context.point_count()) {
    require_noise_level(settings_.self_denoising_lr, model_.shape.noise_std);
    against_.strategy = settings_.against;
    if (against_.strategy.blocks.empty()) {
      against_.strategy = {"For", std::vector<BlockPlan>(static_cast<size_t>(model_.shape.blocks))};
    }
    std::vector<Strategy> strategies;
    for (size_t i = 0; i < context.point_count(); ++i)
      strategies.push_back(read_settings<Settings>(context.point_settings(i)).strategy);
    strategies.push_back(std::move(against_.strategy));
    strategies = chosen_strategies(context, std::move(strategies), settings_.guesses, model_);
    calibration_ = calibration_for(context, strategies, model_, settings_.memory_limit);
    against_.strategy = std::move(strategies.back());
    strategies.pop_back();
    for (Strategy& strategy : strategies) points_.push_back({std::move(strategy), {}, {}, 0});
  }

  void run() {
    SampleOptions options = settings_.options();
    options.strategy = against_.strategy;
    options.calibration = calibration_;
    const int64_t total = settings_.num_images * static_cast<int64_t>(points_.size() + 1);
    int64_t done = 0, count = 0;  // images of all strategies; of the chunk at hand
    options.on_progress = [&](double share) {
      context_.progress_inside(kSamplingPhase, done, total, count, share);
    };
    ChunkSampler sampler(model_, options,
                         batch_options(context_, settings_, settings_.self_denoising_lr != 0));
    context_.progress(kSamplingPhase, done, total);
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      at::Tensor reference;
      for (size_t i = 0; i <= points_.size(); ++i) {
        context_.stop_if_requested();
        count = chunk.count;
        PointImages& point = i == 0 ? against_ : points_[i - 1];
        const at::Tensor images = sample(sampler, point, chunk);
        if (i == 0) {
          reference = images;
          add_reference(reference, chunk);
        } else {
          add_deviations(i - 1, images, reference, chunk);
        }
        done += chunk.count;
        context_.progress(kSamplingPhase, done, total);
      }
    }
    report();
  }

 private:
  at::Tensor sample(ChunkSampler& sampler, PointImages& point, const Chunk& chunk) const {
    const Labels labels = input_.labels(chunk);
    at::Tensor images = sampler.sample(input_.noise(chunk), labels, point.strategy).images;
    if (settings_.self_denoising_lr != 0) {
      const at::Tensor gradient = sampler.gradient(images, labels);
      images = self_denoise(model_, images, gradient, settings_.self_denoising_lr);
    }
    if (chunk.first < shown_) point.shown.push_back(images.slice(0, 0, shown_ - chunk.first).cpu());
    return images;
  }

  // Images of `against` that are not finite have no power, and nothing is compared with them.
  void add_reference(const at::Tensor& reference, const Chunk& chunk) {
    const at::Tensor finite = finite_rows(reference);
    require_finite(settings_.nonfinite, finite, chunk.first,
                   fmt::format("by `against`, strategy {}", against_.strategy.name));
    against_left_out_ += count_false(finite);
    const at::Tensor powers = mean_squares(rows_where(reference, finite));
    for (int64_t i = 0; i < powers.numel(); ++i) power_ += powers.const_data_ptr<double>()[i];
    against_.compared += powers.numel();
  }

  void add_deviations(size_t index, const at::Tensor& images, const at::Tensor& reference,
                      const Chunk& chunk) {
    PointImages& point = points_[index];
    const at::Tensor finite = finite_rows(images);
    require_finite(settings_.nonfinite, finite, chunk.first,
                   fmt::format("by strategy {}", point.strategy.name));
    left_out_.add(index, finite);
    const at::Tensor both = finite.logical_and(finite_rows(reference)),
                     squares = mean_squares(images - reference);
    for (int64_t i = 0; i < squares.numel(); ++i) {
      const bool compared = both.const_data_ptr<bool>()[i];
      point.compared += compared;
      point.deviations.push_back(compared ? std::sqrt(squares.const_data_ptr<double>()[i])
                                          : std::numeric_limits<double>::quiet_NaN());
    }
  }

  void report() {
    const double rms = std::sqrt(power_ / static_cast<double>(against_.compared));
    if (!(rms > 0)) {
      throw Error("the strategy compared with gave no finite images that are not zero",
                  "name another one as `against`");
    }
    left_out_.report(context_);
    std::vector<images::StripRow> rows = {
        {against_.strategy.name, pictures_of(at::cat(against_.shown))}};
    context_.add("compare/against", {}, array_values(pixels_of(rows.front().images)));
    std::vector<Strategy> strategies;
    for (const PointImages& point : points_) strategies.push_back(point.strategy);
    const std::vector<std::string> labels = strategy_labels(strategies);
    for (size_t i = 0; i < points_.size(); ++i) report(i, labels[i], rms, rows);
    const std::string path = write_picture(
        context_, "compare.png", images::strips(rows, {}, strip_options(model_.shape.image_size)));
    context_.set_all("picture", path);
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(model_.compute));
  }

  // Adds the point's two rows: its images, and the differences.
  void report(size_t index, const std::string& label, double rms,
              std::vector<images::StripRow>& rows) {
    PointImages& point = points_[index];
    for (double& deviation : point.deviations) deviation /= rms;
    std::vector<double> sorted;
    std::copy_if(point.deviations.begin(), point.deviations.end(), std::back_inserter(sorted),
                 [](double value) { return !std::isnan(value); });
    std::sort(sorted.begin(), sorted.end());
    std::string measured = "no deviation";
    if (!sorted.empty()) {
      measured = fmt::format("median deviation {:.2g}", quantile(sorted, 0.5));
      context_.set(index, "deviation_median", quantile(sorted, 0.5));
      context_.set(index, "deviation_p99", quantile(sorted, 0.99));
      context_.set(index, "deviation_max", sorted.back());
    }
    context_.set(index, "images_compared", point.compared);
    if (against_left_out_ > 0) {
      context_.add_status(
          index,
          fmt::format("{} of {} images of `against` are not finite and left out; {} compared",
                      against_left_out_, settings_.num_images, point.compared));
    }

    const at::Tensor shown = at::cat(point.shown), reference = at::cat(against_.shown);
    rows.push_back({fmt::format("{}: {}", label, measured), pictures_of(shown)});
    const std::vector<std::string> id = {context_.point_id(index)};
    context_.add("compare/<point>/images", id, array_values(pixels_of(rows.back().images)));
    rows.push_back(
        {fmt::format("{} - {}, times {:g}", label, against_.strategy.name, settings_.amplification),
         pictures_of((shown - reference) * settings_.amplification)});
    context_.add("compare/<point>/difference", id, array_values(pixels_of(rows.back().images)));
    context_.add("compare/<point>/deviation", id, array_values(point.deviations));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  const NoiseInput input_;
  const int64_t shown_;
  PointImages against_;
  std::shared_ptr<const Calibration> calibration_;  // where a strategy needs it
  std::vector<PointImages> points_;
  double power_ = 0;  // of the finite images of `against`, summed
  int64_t against_left_out_ = 0;
  LeftOut left_out_;
};

void run(JobContext& context) { Comparison(context).run(); }

std::vector<Column> columns() {
  const auto deviation = [](const char* name, const char* which) {
    return Column{
        name, ColumnType::kFloat64, "",
        fmt::format("{} of the images' rms difference from `against` over its rms", which)};
  };
  return {deviation("deviation_median", "median"),
          deviation("deviation_p99", "99th percentile"),
          deviation("deviation_max", "largest"),
          {"images_compared", ColumnType::kInt64, "",
           "images in the deviations: finite by both strategies"},
          nonfinite_column(),
          guess_column(),
          picture_column("strips of samples and differences of all strategies of the job"),
          {"smoke", ColumnType::kInt64, "",
           "1: a trial run with few images, perhaps with an untrained model"},
          {"compute", ColumnType::kString, "", "compute type the job ran in"}};
}

std::vector<ArrayInfo> arrays() {
  const std::vector<std::string> axes = {"image", "row", "column", "channel"};
  return guess_arrays_and(
      {{"compare/against", ElementType::kUInt8, axes, "",
        "the first samples of the strategy compared with"},
       {"compare/<point>/images", ElementType::kUInt8, axes, "", "the first samples"},
       {"compare/<point>/difference", ElementType::kUInt8, axes, "",
        "127 + 127.5 * amplification * difference, clipped to 0 and 255"},
       {"compare/<point>/deviation",
        ElementType::kFloat64,
        {"image"},
        "",
        "RMS difference of every image / RMS of all finite images of `against`; NaN if one of them "
        "is not finite"}});
}

const bool registered = register_experiment<Settings>(
    {.name = "compare",
     .description = "Samples of several strategies from the same noise: pictures of images and "
                    "differences, and their deviations.",
     .revision = 2,
     .timed = false,
     .fields = {},
     .columns = columns(),
     .arrays = arrays(),
     .work = Work::kSampling},
    run);

}  // namespace
}  // namespace tarflow::experiments
