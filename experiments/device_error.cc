// How far a compute type on a device is from float32 on the same device: block by block from the
// same inputs, and end to end, for the forward pass and for each strategy.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "experiments/registry.h"
#include "experiments/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/model/patchify.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

// rms of the difference of each image over the rms of all images compared with.
class Deviations {
 public:
  // (N, ...) each.
  void add(const at::Tensor& values, const at::Tensor& exact) {
    const at::Tensor x = values.to(at::kDouble).flatten(1), y = exact.to(at::kDouble).flatten(1);
    const at::Tensor squares = (x - y).square().mean(1).cpu(), powers = y.square().mean(1).cpu();
    for (int64_t i = 0; i < squares.numel(); ++i) {
      const double power = powers.const_data_ptr<double>()[i];
      if (!std::isfinite(power)) continue;  // nothing to be compared with
      const double square = squares.const_data_ptr<double>()[i];
      deviations_.push_back(std::isfinite(square) ? std::sqrt(square)
                                                  : std::numeric_limits<double>::infinity());
      power_ += power;
    }
  }

  // NaN where nothing finite was added.
  std::vector<double> relative() const {
    const double rms = std::sqrt(power_ / static_cast<double>(deviations_.size()));
    std::vector<double> values = deviations_;
    for (double& value : values) value /= rms;
    return values;
  }

 private:
  std::vector<double> deviations_;
  double power_ = 0;
};

struct Summary {
  double median, p99, most;
};

Summary summary(const Deviations& deviations) {
  const std::vector<double> values = deviations.relative();
  if (values.empty()) {
    constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
    return {kNothing, kNothing, kNothing};
  }
  return {quantile(values, 0.5), quantile(values, 0.99),
          *std::max_element(values.begin(), values.end())};
}

// The strategy is shared: its points have the forward pass and the models in common.
struct Settings : SamplingSettings {
  void bind(Binder& binder) { SamplingSettings::bind(binder, StrategyField::kShared); }
};

// What is compared of one point.
struct PointErrors {
  Strategy strategy;
  Deviations images;                // end to end, by the other compute type throughout
  std::vector<Deviations> inverse;  // of each block, from what float32 gives it
};

class DeviceError {
 public:
  explicit DeviceError(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.point_settings(0))),
        device_(device_from(settings_.device)),
        exact_(context.load_model(device_, ComputeType::kFloat32)),
        rounded_(converted(exact_, compute_type())),
        forward_(static_cast<size_t>(exact_.shape.blocks)) {
    std::vector<Strategy> strategies;
    for (size_t i = 0; i < context.point_count(); ++i)
      strategies.push_back(read_settings<Settings>(context.point_settings(i)).strategy);
    for (Strategy& strategy :
         chosen_strategies(context, std::move(strategies), settings_.guesses, exact_)) {
      points_.push_back({std::move(strategy), {}, std::vector<Deviations>(forward_.size())});
    }
  }

  void run() {
    BatchSampler exact = sampler_of(exact_), rounded = sampler_of(rounded_);
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      context_.progress("comparing", chunk.first, settings_.num_images);
      for (size_t i = 0; i < points_.size(); ++i) {
        context_.stop_if_requested();
        const SampleResult result = compare(points_[i], chunk, exact, rounded);
        if (i == 0) compare_forward(result.images, labels_of(exact_, settings_, chunk));
      }
    }
    report();
  }

 private:
  ComputeType compute_type() const {
    return settings_.compute_type == "auto" ? ComputeType::kBFloat16
                                            : compute_type_from(settings_.compute_type, device_);
  }

  BatchSampler sampler_of(const Model& model) {
    SampleOptions options = settings_.options();
    options.strategy = points_.front().strategy;
    options.keep_trace = true;
    return BatchSampler(model, options, batch_options(context_, settings_, false));
  }

  // What float32 samples.
  SampleResult compare(PointErrors& point, const Chunk& chunk, BatchSampler& exact,
                       BatchSampler& rounded) {
    const at::Tensor noise = noise_of(exact_, static_cast<uint64_t>(settings_.seed), chunk);
    const Labels labels = labels_of(exact_, settings_, chunk);
    SampleResult result = exact.sample(noise, labels, point.strategy);
    point.images.add(rounded.sample(noise, labels, point.strategy).images, result.images);
    compare_inverses(point, noise, result, labels);
    return result;
  }

  // Each block of the other type begins where float32 does: trace[i] is what block K-1-i reads.
  void compare_inverses(PointErrors& point, const at::Tensor& noise, const SampleResult& exact,
                        const Labels& labels) {
    const c10::NoGradGuard no_grad;
    const int count = exact_.shape.blocks;
    // The last chunk may be smaller than those before it.
    if (!evaluator_ || evaluator_->capacity() < noise.size(0)) {
      evaluator_.reset();  // its memory first
      evaluator_ = make_evaluator(rounded_, noise.size(0), settings_.options().guidance);
    }
    for (int b = count - 1; b >= 0; --b) {
      const BlockWeights& block = rounded_.blocks[static_cast<size_t>(b)];
      const size_t state = static_cast<size_t>(count - 1 - b);
      const at::Tensor tokens = patchify(exact.trace[state], exact_.shape.patch_size);
      const at::Tensor input = state == 0 ? tokens * exact_.prior_std : tokens;
      evaluator_->begin(b, labels, noise.size(0));
      BlockWork work;
      const at::Tensor x =
          to_block_order(block, invert_block(*evaluator_, point.strategy.block(b),
                                             to_block_order(block, input).contiguous(), {}, &work));
      point.inverse[static_cast<size_t>(b)].add(
          x, patchify(exact.trace[state + 1], exact_.shape.patch_size));
    }
  }

  // On what the first strategy samples: images of the model's own.
  void compare_forward(const at::Tensor& images, const Labels& labels) {
    const c10::NoGradGuard no_grad;
    at::Tensor exact = patchify(images, exact_.shape.patch_size), rounded = exact;
    for (size_t b = 0; b < exact_.blocks.size(); ++b) {
      const auto pass = [&](const Model& model, const at::Tensor& x) {
        const BlockWeights& block = model.blocks[b];
        return to_block_order(block,
                              block_forward(model, block, to_block_order(block, x), labels).z);
      };
      const at::Tensor next = pass(exact_, exact);
      forward_[b].add(pass(rounded_, exact), next);
      rounded = pass(rounded_, rounded);
      exact = next;
    }
    forward_whole_.add(rounded, exact);
  }

  void report() {
    const Summary whole = summary(forward_whole_);
    context_.set_all("forward_median", whole.median);
    context_.set_all("forward_p99", whole.p99);
    context_.set_all("forward_max", whole.most);
    context_.add("device_error/forward", {}, by_block(forward_));
    for (size_t i = 0; i < points_.size(); ++i) {
      const Summary sampling = summary(points_[i].images);
      context_.set(i, "deviation_median", sampling.median);
      context_.set(i, "deviation_p99", sampling.p99);
      context_.set(i, "deviation_max", sampling.most);
      const std::vector<std::string> id = {context_.point_id(i)};
      context_.add("device_error/<point>/images", id, array_values(points_[i].images.relative()));
      context_.add("device_error/<point>/blocks", id, by_block(points_[i].inverse));
    }
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(rounded_.compute));
  }

  // (K, 3): median, 99th percentile and maximum over images.
  static record::Array by_block(const std::vector<Deviations>& blocks) {
    std::vector<double> values;
    for (const Deviations& block : blocks) {
      const Summary found = summary(block);
      values.insert(values.end(), {found.median, found.p99, found.most});
    }
    return array_values(at::tensor(values, at::kDouble).view({-1, 3}));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model exact_, rounded_;
  std::unique_ptr<Evaluator> evaluator_;  // of the other type
  std::vector<PointErrors> points_;
  std::vector<Deviations> forward_;  // of each block, from what float32 gives it
  Deviations forward_whole_;
};

void run(JobContext& context) { DeviceError(context).run(); }

std::vector<Column> columns() {
  std::vector<Column> columns;
  const auto add = [&](const char* name, const char* which, const char* of) {
    columns.push_back({name, ColumnType::kFloat64, "",
                       fmt::format("{} over images of the rms difference from float32 over its "
                                   "rms, {}",
                                   which, of)});
  };
  for (const auto& [end, which] :
       {std::pair("median", "median"), std::pair("p99", "99th percentile"),
        std::pair("max", "largest")}) {
    add(fmt::format("deviation_{}", end).c_str(), which, "of the samples, all blocks");
    add(fmt::format("forward_{}", end).c_str(), which, "of the latents of the forward pass");
  }
  columns.push_back(guess_column());
  columns.push_back({"smoke", ColumnType::kInt64, "", "1: a trial run"});
  columns.push_back(
      {"compute", ColumnType::kString, "", "compute type that is compared with float32"});
  return columns;
}

std::vector<ArrayInfo> arrays() {
  const std::vector<std::string> block = {"block in checkpoint order",
                                          "median, 99th percentile, largest over images"};
  return guess_arrays_and(
      {{"device_error/forward", ElementType::kFloat64, block, "",
        "relative deviation of each block's latents, from float32's input to it"},
       {"device_error/<point>/blocks", ElementType::kFloat64, block, "",
        "relative deviation of each block's inverse, from float32's input to it"},
       {"device_error/<point>/images",
        ElementType::kFloat64,
        {"image"},
        "",
        "relative deviation of every sample, all blocks"}});
}

const bool registered = register_experiment<Settings>(
    {.name = "device_error",
     .description = "How far a compute type is from float32 on the same device: the forward pass "
                    "and each strategy, by block and end to end.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = columns(),
     .arrays = arrays(),
     .work = Work::kSampling},
    run);

}  // namespace
}  // namespace tarflow::experiments
