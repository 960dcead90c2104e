// How far a compute type on a device is from float32 on the same device: block by block from the
// same inputs, and end to end, for the forward pass and for each strategy.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "experiments/worker/calibration.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/model/patchify.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

// rms of the difference of each image over the rms of all images compared with.
class Deviations {
 public:
  // (N, ...) each; images that `finite` (N) does not name are left out.
  void add(const at::Tensor& values, const at::Tensor& exact, const at::Tensor& finite) {
    const at::Tensor x = values.to(at::kDouble).flatten(1), y = exact.to(at::kDouble).flatten(1);
    const at::Tensor squares = (x - y).square().mean(1).cpu(), powers = y.square().mean(1).cpu();
    for (int64_t i = 0; i < squares.numel(); ++i) {
      if (!finite.const_data_ptr<bool>()[i]) {
        deviations_.push_back(std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      deviations_.push_back(std::sqrt(squares.const_data_ptr<double>()[i]));
      power_ += powers.const_data_ptr<double>()[i];
      ++compared_;
    }
  }

  // By image; NaN where it is left out.
  std::vector<double> relative() const {
    const double rms = std::sqrt(power_ / static_cast<double>(compared_));
    std::vector<double> values = deviations_;
    for (double& value : values) value /= rms;
    return values;
  }

 private:
  std::vector<double> deviations_;
  double power_ = 0;
  int64_t compared_ = 0;
};

struct Summary {
  double median, p99, most;
};

// Nothing where all images are left out.
std::optional<Summary> summary(const Deviations& deviations) {
  std::vector<double> values = deviations.relative();
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return std::nullopt;
  return Summary{quantile(values, 0.5), quantile(values, 0.99),
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
        exact_plan_(exact_, settings_.options().guidance, batch_options(context, settings_, false)),
        rounded_plan_(rounded_, settings_.options().guidance,
                      batch_options(context, settings_, false)),
        forward_(static_cast<size_t>(exact_.shape.blocks)),
        left_out_(context.point_count()),
        forward_left_out_(1) {
    std::vector<Strategy> strategies;
    for (size_t i = 0; i < context.point_count(); ++i)
      strategies.push_back(read_settings<Settings>(context.point_settings(i)).strategy);
    strategies = chosen_strategies(context, std::move(strategies), settings_.guesses, exact_);
    exact_calibration_ = calibration_for(context, strategies, exact_, settings_.memory_limit);
    rounded_calibration_ = calibration_for(context, strategies, rounded_, settings_.memory_limit);
    for (Strategy& strategy : strategies) {
      points_.push_back({std::move(strategy), {}, std::vector<Deviations>(forward_.size())});
    }
  }

  void run() {
    BatchSampler exact = sampler_of(exact_, exact_calibration_),
                 rounded = sampler_of(rounded_, rounded_calibration_);
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      context_.progress("comparing", chunk.first, settings_.num_images);
      for (size_t i = 0; i < points_.size(); ++i) {
        context_.stop_if_requested();
        const SampleResult result = compare(i, chunk, exact, rounded);
        if (i == 0) compare_forward(result.images, labels_of(exact_, settings_, chunk), chunk);
      }
    }
    report();
  }

 private:
  ComputeType compute_type() const {
    return settings_.compute_type == "auto" ? ComputeType::kBFloat16
                                            : compute_type_from(settings_.compute_type, device_);
  }

  BatchSampler sampler_of(const Model& model,
                          const std::shared_ptr<const Calibration>& calibration) {
    SampleOptions options = settings_.options();
    options.calibration = calibration;
    options.strategy = points_.front().strategy;
    options.keep_trace = true;
    return BatchSampler(model, options, batch_options(context_, settings_, false));
  }

  // What float32 samples. Nothing else holds memory on the device while one of the parts runs.
  SampleResult compare(size_t index, const Chunk& chunk, BatchSampler& exact,
                       BatchSampler& rounded) {
    PointErrors& point = points_[index];
    const at::Tensor noise = noise_of(exact_, static_cast<uint64_t>(settings_.seed), chunk);
    const Labels labels = labels_of(exact_, settings_, chunk);
    const SampleResult result = exact.sample(noise, labels, point.strategy);
    exact.release();
    const at::Tensor images = rounded.sample(noise, labels, point.strategy).images;
    rounded.release();
    const std::vector<at::Tensor> inverses = inverses_of(point.strategy, noise, result, labels);
    const std::string by = fmt::format(" by strategy {}", point.strategy.name);
    at::Tensor finite = at::ones({chunk.count}, at::kBool);
    for (const at::Tensor& state : result.trace)
      finite = checked(finite, state, "float32" + by, chunk);
    finite = checked(finite, images, to_string(rounded_.compute) + by, chunk);
    for (const at::Tensor& x : inverses) {
      finite =
          checked(finite, x,
                  fmt::format("{} in a block inverted{}", to_string(rounded_.compute), by), chunk);
    }
    left_out_.add(index, finite);
    point.images.add(images, result.images, finite);
    for (size_t b = 0; b < inverses.size(); ++b) {
      const at::Tensor& next = result.trace[inverses.size() - b];
      point.inverse[b].add(inverses[b], patchify(next, exact_.shape.patch_size), finite);
    }
    return result;
  }

  // Those of `finite` whose `values` are. Throws Error for others where the settings say so.
  at::Tensor checked(const at::Tensor& finite, const at::Tensor& values, const std::string& in,
                     const Chunk& chunk) const {
    const at::Tensor own = finite_rows(values);
    require_finite(settings_.nonfinite, own, chunk.first, "in " + in);
    return finite.logical_and(own);
  }

  // Of each block (N, T, D), the other type's inverse of what float32 gives it: trace[i] is what
  // block K-1-i reads.
  std::vector<at::Tensor> inverses_of(const Strategy& strategy, const at::Tensor& noise,
                                      const SampleResult& exact, const Labels& labels) {
    const c10::NoGradGuard no_grad;
    const int64_t images = noise.size(0);
    const int count = exact_.shape.blocks;
    std::vector<std::vector<at::Tensor>> parts(static_cast<size_t>(count));  // by block
    rounded_plan_.use(images, strategy, [] {});
    in_parts(
        images, rounded_plan_.size(), [&] { rounded_plan_.halve(); },
        [&](int64_t first, int64_t size) {
          const Strategy own = for_part(strategy, size, images);
          const Labels part = part_of(labels, first, size);
          const auto evaluator = make_evaluator(rounded_, size, settings_.options().guidance);
          std::vector<at::Tensor> found(static_cast<size_t>(count));
          for (int b = count - 1; b >= 0; --b) {
            const size_t state = static_cast<size_t>(count - 1 - b);
            const at::Tensor tokens =
                patchify(exact.trace[state].slice(0, first, first + size), exact_.shape.patch_size);
            found[static_cast<size_t>(b)] = inverse_of(
                *evaluator, b, own.block(b), state == 0 ? tokens * exact_.prior_std : tokens, part);
          }
          for (size_t b = 0; b < found.size(); ++b) parts[b].push_back(found[b]);
        });
    std::vector<at::Tensor> inverses;
    for (const std::vector<at::Tensor>& block : parts) inverses.push_back(at::cat(block));
    return inverses;
  }

  at::Tensor inverse_of(Evaluator& evaluator, int b, const BlockPlan& plan, const at::Tensor& input,
                        const Labels& labels) const {
    const BlockWeights& block = rounded_.blocks[static_cast<size_t>(b)];
    evaluator.begin(b, labels, input.size(0));
    BlockWork work;
    SolveOptions options;
    if (rounded_calibration_)
      options.linear = &rounded_calibration_->blocks.at(static_cast<size_t>(b));
    return to_block_order(
        block,
        invert_block(evaluator, plan, to_block_order(block, input).contiguous(), options, &work));
  }

  // On what the first strategy samples: images of the model's own.
  void compare_forward(const at::Tensor& images, const Labels& labels, const Chunk& chunk) {
    const int64_t count = images.size(0);
    exact_plan_.use(count, {"forward", std::vector<BlockPlan>(forward_.size(), {Jacobi{}})}, [] {});
    in_parts(
        count, exact_plan_.size(), [&] { exact_plan_.halve(); },
        [&](int64_t first, int64_t size) {
          add_forward(
              forward_of(images.slice(0, first, first + size), part_of(labels, first, size)),
              {chunk.index, chunk.first + first, size});
        });
  }

  // Of each block, and at last of all blocks together: the other type's latents and float32's, on
  // the CPU, so that what adds them cannot run out of the device's memory half way.
  using Pairs = std::vector<std::pair<at::Tensor, at::Tensor>>;

  Pairs forward_of(const at::Tensor& images, const Labels& labels) const {
    const c10::NoGradGuard no_grad;
    Pairs pairs;
    at::Tensor exact = patchify(images, exact_.shape.patch_size), rounded = exact;
    for (size_t b = 0; b < exact_.blocks.size(); ++b) {
      const auto pass = [&](const Model& model, const at::Tensor& x) {
        const BlockWeights& block = model.blocks[b];
        return to_block_order(block,
                              block_forward(model, block, to_block_order(block, x), labels).z);
      };
      const at::Tensor next = pass(exact_, exact);
      pairs.emplace_back(pass(rounded_, exact).cpu(), next.cpu());
      rounded = pass(rounded_, rounded);
      exact = next;
    }
    pairs.emplace_back(rounded.cpu(), exact.cpu());
    return pairs;
  }

  void add_forward(const Pairs& pairs, const Chunk& chunk) {
    at::Tensor finite = at::ones({chunk.count}, at::kBool);
    for (const auto& [rounded, exact] : pairs) {
      finite = checked(finite, exact, "float32 in the forward pass", chunk);
      finite =
          checked(finite, rounded, to_string(rounded_.compute) + " in the forward pass", chunk);
    }
    forward_left_out_.add(0, finite);
    for (size_t b = 0; b < pairs.size(); ++b) {
      Deviations& deviations = b < forward_.size() ? forward_[b] : forward_whole_;
      deviations.add(pairs[b].first, pairs[b].second, finite);
    }
  }

  void report() {
    left_out_.report(context_);
    for (size_t i = 0; i < points_.size(); ++i) {
      set(i, "forward", summary(forward_whole_));
      context_.set(i, "nonfinite_forward", forward_left_out_.count(0));
      if (forward_left_out_.count(0) > 0) {
        context_.add_status(i, fmt::format("{} of {} images are not finite in the forward pass and "
                                           "left out of it",
                                           forward_left_out_.count(0), settings_.num_images));
      }
      set(i, "deviation", summary(points_[i].images));
      const std::vector<std::string> id = {context_.point_id(i)};
      context_.add("device_error/<point>/images", id, array_values(points_[i].images.relative()));
      context_.add("device_error/<point>/blocks", id, by_block(points_[i].inverse));
    }
    context_.add("device_error/forward", {}, by_block(forward_));
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(rounded_.compute));
  }

  void set(size_t point, const std::string& prefix, const std::optional<Summary>& found) {
    if (!found) return;
    context_.set(point, prefix + "_median", found->median);
    context_.set(point, prefix + "_p99", found->p99);
    context_.set(point, prefix + "_max", found->most);
  }

  // (K, 3): median, 99th percentile and maximum over images; NaN where all are left out.
  static record::Array by_block(const std::vector<Deviations>& blocks) {
    std::vector<double> values;
    for (const Deviations& block : blocks) {
      constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
      const Summary found = summary(block).value_or(Summary{kNothing, kNothing, kNothing});
      values.insert(values.end(), {found.median, found.p99, found.most});
    }
    return array_values(at::tensor(values, at::kDouble).view({-1, 3}));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model exact_, rounded_;
  BatchPlan exact_plan_, rounded_plan_;  // of what runs beside the samplers
  // Where a strategy needs it: a calibration is of the compute type as well.
  std::shared_ptr<const Calibration> exact_calibration_, rounded_calibration_;
  std::vector<PointErrors> points_;
  std::vector<Deviations> forward_;  // of each block, from what float32 gives it
  Deviations forward_whole_;
  LeftOut left_out_, forward_left_out_;
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
  columns.push_back(nonfinite_column());
  columns.push_back({"nonfinite_forward", ColumnType::kInt64, "",
                     "images left out of the forward pass because a latent was not finite"});
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
        "relative deviation of every sample, all blocks; NaN if it is left out"}});
}

const bool registered = register_experiment<Settings>(
    {.name = "device_error",
     .description = "Difference of a compute type from float32 on the same device: forward pass "
                    "and each strategy, by block and end to end.",
     .revision = 2,
     .timed = false,
     .fields = {},
     .columns = columns(),
     .arrays = arrays(),
     .work = Work::kSampling},
    run);

}  // namespace
}  // namespace tarflow::experiments
