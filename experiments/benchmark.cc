// Times of sampling, of each block and of each kernel, beside what the device reaches at the
// building blocks of sampling in the same run.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "experiments/benchmark_rates.h"
#include "experiments/worker/calibration.h"
#include "experiments/worker/device_share.h"
#include "experiments/worker/profiler.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/sampling/memory_plan.h"
#include "framework/tensor/device.h"
#include "framework/tensor/memory.h"
#include "framework/tensor/timer.h"

namespace tarflow::experiments {
namespace {

struct Settings {
  std::string model;
  Strategy strategy;
  double cfg = 0, attn_temp = 1;
  int64_t batch = 64, seed = 0, warm_up = 1, repeats = 3, front_advance = 0;
  bool profile = true;
  std::string device = "auto", compute_type = "auto";
  double memory_limit = 0;

  void bind(Binder& binder);
  // Throws Error where front_advance is not possible.
  SampleOptions options(const ModelShape& shape) const {
    SampleOptions options;
    options.guidance = {cfg, attn_temp};
    options.strategy = forced(options.guidance.doubled(shape));
    return options;
  }
  // The strategy, its fronts moved on by front_advance. Half evaluations, which only guidance
  // brings, move none: the full ones make up for them.
  Strategy forced(bool guided) const;
};

Strategy Settings::forced(bool guided) const {
  Strategy result = strategy;
  bool windows = false;
  for (BlockPlan& plan : result.blocks) {
    Window* const window = std::get_if<Window>(&plan.method);
    if (!window) continue;
    windows = true;
    const auto all = static_cast<int64_t>(window->pattern.size()),
               full = std::count(window->pattern.begin(), window->pattern.end(), 'F');
    if (guided && front_advance * all % full != 0) {
      throw Error(
          fmt::format("`front_advance: {}` in a window of pattern {} takes {:.2f} tokens at "
                      "each full evaluation",
                      front_advance, window->pattern,
                      static_cast<double>(front_advance * all) / static_cast<double>(full)),
          fmt::format("state a multiple of {}", full / std::gcd(all, full)));
    }
    window->advance = static_cast<int>(guided ? front_advance * all / full : front_advance);
    if (window->advance > window->width) {
      throw Error(fmt::format("`front_advance: {}` takes {} tokens at each full evaluation, and a "
                              "window of the strategy has {}",
                              front_advance, window->advance, window->width),
                  "state a smaller front_advance or wider windows");
    }
  }
  if (front_advance > 0 && !windows) {
    throw Error("`front_advance` forces the front of windows, and the strategy has none",
                "leave it out, or state a strategy such as Window-64");
  }
  return result;
}

void Settings::bind(Binder& binder) {
  binder.model(model, {.name = "model",
                       .description = "A name under `models:`; `random_weights` need no file.",
                       .required = true,
                       .example = "afhq"});
  binder.strategy(
      strategy, {.name = "strategy",
                 .description = "How the blocks are inverted. `guess: auto` is not possible here.",
                 .required = true,
                 .example = "For",
                 .shared = true});
  binder.number(cfg, {.name = "cfg", .description = "Guidance weight; 0: none.", .minimum = 0});
  binder.number(attn_temp, {.name = "attn_temp",
                            .description = "Attention temperature of the unconditional pass.",
                            .minimum = 1e-6});
  binder.integer(batch, {.name = "batch",
                         .description = "Images sampled at once.",
                         .minimum = 1,
                         .example = 128,
                         .shared = true});
  bind_seed(binder, seed);
  binder.integer(warm_up, {.name = "warm_up",
                           .description = "Samplings of the batch before the timed ones.",
                           .minimum = 0});
  binder.integer(repeats, {.name = "repeats",
                           .description = "Timed samplings of the batch. The result is the median.",
                           .minimum = 1});
  binder.integer(front_advance,
                 {.name = "front_advance",
                  .description = "Tokens per evaluation by which the front of adaptive windows "
                                 "moves, on average, whatever their tolerance: for times on random "
                                 "weights. 0: by the tolerance.",
                  .minimum = 0});
  binder.boolean(profile, {.name = "profile",
                           .description = "Sample once more to measure the time of each kernel: "
                                          "one block of each kind, the others in proportion."});
  bind_device(binder, device, compute_type);
  bind_memory_limit(binder, memory_limit);
}

// One sampling after another of one batch, its blocks timed.
class TimedBatch {
 public:
  TimedBatch(const Model& model, const Settings& settings,
             const std::shared_ptr<const Calibration>& calibration, BatchOptions batch)
      : model_(model),
        settings_(settings),
        sampler_(model, options(calibration), std::move(batch)),
        noise_(noise_of(model, static_cast<uint64_t>(settings.seed), chunk())),
        labels_(labels_of(model, static_cast<uint64_t>(settings.seed), chunk())) {}

  // Seconds of each block, in checkpoint order.
  std::vector<double> sample() {
    DeviceTimer timer(model_.device);
    std::vector<int> blocks;
    on_block_ = [&](int block) {
      timer.mark();
      blocks.push_back(block);
    };
    result_ = sampler_.sample(noise_, labels_);
    on_block_ = {};
    std::vector<double> seconds(static_cast<size_t>(model_.shape.blocks), 0.0);
    const std::vector<double> spans = timer.seconds();
    for (size_t i = 0; i < spans.size(); ++i) {
      if (blocks[i] >= 0) seconds[static_cast<size_t>(blocks[i])] += spans[i];
    }
    return seconds;
  }

  // The kernels of all blocks; of blocks inverted by one plan the first is looked at, and stands
  // for the others by the tokens they evaluate.
  Profile kernels() {
    std::map<int, Profile> seen;  // by block
    std::unique_ptr<Profiler> profiler;
    int looked_at = -1;
    on_block_ = [&](int block) {
      if (profiler) seen[looked_at] = profiler->finish();
      profiler.reset();
      if (block < 0 || stands_for(block) != block || seen.contains(block)) return;
      looked_at = block;
      profiler = std::make_unique<Profiler>(model_.device);
    };
    result_ = sampler_.sample(noise_, labels_);
    on_block_ = {};
    Profile all;
    const double parts =
        static_cast<double>(settings_.batch) / static_cast<double>(sampler_.micro_batch());
    for (int block = 0; block < model_.shape.blocks; ++block) {
      const int other = stands_for(block);
      const double times = parts * evaluations(block) / evaluations(other);
      for (const auto& [name, kernel] : seen[other]) {
        all[name].calls += times * kernel.calls;
        all[name].seconds += times * kernel.seconds;
      }
    }
    return all;
  }

  const SampleResult& result() const { return result_; }
  int64_t micro_batch() const { return sampler_.micro_batch(); }

 private:
  SampleOptions options(const std::shared_ptr<const Calibration>& calibration) {
    SampleOptions options = settings_.options(model_.shape);
    options.calibration = calibration;
    options.on_block = [this](int block) {
      if (on_block_) on_block_(block);
    };
    return options;
  }
  Chunk chunk() const { return {0, 0, settings_.batch}; }
  // The block sampled first among those with the same plan.
  int stands_for(int block) const {
    for (int other = model_.shape.blocks - 1; other > block; --other) {
      if (settings_.strategy.block(other) == settings_.strategy.block(block)) return other;
    }
    return block;
  }
  double evaluations(int block) const {
    return result_.work[static_cast<size_t>(block)].token_evaluations;
  }

  const Model& model_;
  const Settings& settings_;
  std::function<void(int)> on_block_;
  BatchSampler sampler_;
  const at::Tensor noise_;
  const Labels labels_;
  SampleResult result_;
};

class Benchmark {
 public:
  explicit Benchmark(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.point_settings(0))),
        device_(device_from(settings_.device)),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))) {}

  void run() {
    int64_t largest = 1;
    std::vector<Strategy> strategies;
    for (size_t i = 0; i < context_.point_count(); ++i) {
      const Settings settings = read_settings<Settings>(context_.point_settings(i));
      largest = std::max(largest, settings.batch);
      strategies.push_back(settings.options(model_.shape).strategy);
    }
    calibration_ = calibration_for(context_, strategies, model_, settings_.memory_limit);
    DeviceShare share(device_);
    rates_ = measure_rates(model_, largest);
    report_rates();
    for (size_t i = 0; i < context_.point_count(); ++i) {
      context_.stop_if_requested();
      context_.progress("timing", static_cast<int64_t>(i),
                        static_cast<int64_t>(context_.point_count()), 0, "points");
      measure(i);
      share.look();
    }
    const std::vector<DeviceUse> uses{share.use()};
    context_.set_all("exclusive", int64_t{context_.exclusive() && quiet(uses) && !stopped(uses)});
    context_.set_all("foreign_cpu_share", foreign_share({share.use()}));
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(model_.compute));
  }

 private:
  void measure(size_t point) {
    const Settings settings = read_settings<Settings>(context_.point_settings(point));
    std::optional<MemoryMeter> meter(std::in_place, device_);
    TimedBatch batch(model_, settings, calibration_,
                     batch_options(context_, settings.memory_limit, false));
    for (int64_t i = 0; i < settings.warm_up; ++i) {
      context_.stop_if_requested();
      batch.sample();
    }
    std::vector<double> seconds, blocks;  // of each repeat; of each repeat's blocks
    for (int64_t i = 0; i < settings.repeats; ++i) {
      context_.stop_if_requested();
      const std::vector<double> own = batch.sample();
      seconds.push_back(std::accumulate(own.begin(), own.end(), 0.0));
      blocks.insert(blocks.end(), own.begin(), own.end());
    }
    report_times(point, settings, seconds, blocks);
    report_work(point, batch.result(), quantile(seconds, 0.5));
    context_.set(point, "peak_memory", static_cast<double>(meter->peak()));
    meter.reset();  // the profiler listens where it does
    const MemoryPlan plan =
        memory_plan(model_, batch.micro_batch(), Guidance{settings.cfg, settings.attn_temp},
                    settings.strategy, false);
    context_.set(point, "planned_memory", static_cast<double>(plan.working()));
    context_.set(point, "micro_batch", batch.micro_batch());
    report_nonfinite(point, settings.options(model_.shape).strategy, batch.result().images);
    if (settings.profile) report_kernels(point, batch.kernels(), quantile(seconds, 0.5));
  }

  // A time is valid whatever the values are, unless these decide how much is computed.
  void report_nonfinite(size_t point, const Strategy& strategy, const at::Tensor& images) {
    const int64_t count = count_false(finite_rows(images));
    context_.set(point, nonfinite_column().name, count);
    if (count == 0 || !strategy.work_depends_on_values()) return;
    context_.add_status(point,
                        fmt::format("{} of {} images are not finite: the strategy's stop or "
                                    "window may compute more or less than with finite values",
                                    count, images.size(0)));
  }

  void report_rates() {
    context_.set_all("gemm_rate", rates_.gemm);
    context_.set_all("attention_rate", rates_.attention);
    context_.set_all("segment_attention_rate", rates_.segment_attention);
    context_.set_all("copy_rate", rates_.copy);
    context_.log(
        fmt::format("matrix products {:.4g} TFLOP/s, attention {:.4g} (of segments {:.4g}),"
                    " copies {:.4g} GB/s",
                    rates_.gemm / 1e12, rates_.attention / 1e12, rates_.segment_attention / 1e12,
                    rates_.copy / 1e9));
  }

  void report_times(size_t point, const Settings& settings, const std::vector<double>& seconds,
                    const std::vector<double>& blocks) {
    const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
    const double median = quantile(seconds, 0.5);
    context_.set(point, "seconds", median);
    context_.set(point, "seconds_min", *least);
    context_.set(point, "seconds_max", *most);
    context_.set(point, "images_per_second", static_cast<double>(settings.batch) / median);
    const std::vector<std::string> id = {context_.point_id(point)};
    context_.add("benchmark/<point>/seconds", id, array_values(seconds));
    context_.add("benchmark/<point>/block_seconds", id,
                 array_values(at::tensor(blocks, at::kDouble).view({-1, model_.shape.blocks})));
    context_.log(fmt::format("{}, batch {}: {:.4g} s ({:.4g} to {:.4g})", settings.strategy.name,
                             settings.batch, median, *least, *most));
  }

  // What the device's rates allow: of each block the larger of its arithmetic and its bytes.
  void report_work(size_t point, const SampleResult& result, double seconds) {
    EvaluationCost total;
    double floor = 0;
    for (const BlockWork& work : result.work) {
      const EvaluationCost& cost = work.cost;
      const bool whole = work.longest + 1 >= model_.shape.tokens();  // evaluations of all tokens
      const double attention = whole ? rates_.attention : rates_.segment_attention;
      floor += std::max(cost.linear_flops / rates_.gemm + cost.attention_flops / attention,
                        cost.bytes() / rates_.copy);
      total += cost;
    }
    context_.set(point, "block_passes", result.block_passes);
    context_.set(point, "linear_flops", total.linear_flops);
    context_.set(point, "attention_flops", total.attention_flops);
    context_.set(point, "weight_bytes", total.weight_bytes);
    context_.set(point, "cache_bytes", total.cache_bytes);
    context_.set(point, "achieved_flops", total.flops() / seconds);
    context_.set(point, "achieved_bandwidth", total.bytes() / seconds);
    context_.set(point, "floor_seconds", floor);
  }

  void report_kernels(size_t point, const Profile& profile, double seconds) {
    if (profile.empty()) return context_.log("the profiler saw nothing: no shares of kernels");
    KernelLists kernels = kernel_lists(profile);
    const double work = kernels.all - kernels.of_kind["framework"];
    for (const char* kind : {"gemm", "attention", "norm", "gelu", "update", "copy", "other"})
      context_.set(point, fmt::format("share_{}", kind), kernels.of_kind[kind] / work);
    // Two bounds of a GPU's: kernels over the time unwatched, where clocks may differ, and the gaps
    // of what was watched, without graphs and with a listener. On a CPU ranges tell.
    const double watched = kernels.of_kind["framework"] / kernels.all;
    context_.set(
        point, "own_share",
        device_.is_cuda() ? std::max(0.0, std::min(1 - work / seconds, watched)) : watched);
    const std::vector<std::string> id = {context_.point_id(point)};
    context_.add("benchmark/<point>/kernels/name", id, array_values(std::move(kernels.names)));
    context_.add("benchmark/<point>/kernels/kind", id, array_values(std::move(kernels.kinds)));
    context_.add("benchmark/<point>/kernels/seconds", id, array_values(kernels.seconds));
    context_.add("benchmark/<point>/kernels/calls", id, array_values(kernels.calls));
  }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  std::shared_ptr<const Calibration> calibration_;  // where a strategy needs it
  Rates rates_;
};

void run(JobContext& context) { Benchmark(context).run(); }

std::vector<Column> columns() {
  const auto timing = [](const std::string& name, const char* unit, const std::string& text) {
    return Column{name, ColumnType::kFloat64, unit, text, true};
  };
  std::vector<Column> columns = {
      timing("seconds", "s", "noise to images, all blocks: the median of the repeats"),
      timing("seconds_min", "s", "the shortest repeat"),
      timing("seconds_max", "s", "the longest repeat"),
      timing("images_per_second", "1/s", "batch over seconds"),
      timing("gemm_rate", "FLOP/s", "matrix products of an MLP's shape, measured in the same job"),
      timing("attention_rate", "FLOP/s", "causal attention over all tokens, likewise"),
      timing("segment_attention_rate", "FLOP/s",
             "attention of T/8 queries to the T/2 keys before them and their own, likewise"),
      timing("copy_rate", "B/s", "copies on the device, read and written, likewise"),
      timing("achieved_flops", "FLOP/s", "linear_flops and attention_flops over seconds"),
      timing("achieved_bandwidth", "B/s", "weight_bytes and cache_bytes over seconds"),
      timing("floor_seconds", "s",
             "what these rates allow: of each block the longer of its arithmetic and its bytes"),
      timing("own_share", "",
             "part of seconds that no kernel and no copy was running: of kernels' time over the "
             "seconds and gaps while watched the smaller; on a CPU outside of all operations"),
      {"block_passes", ColumnType::kFloat64, "", "tokens evaluated / T, summed over blocks"},
      {"linear_flops", ColumnType::kFloat64, "FLOP", "of the linear layers"},
      {"attention_flops", ColumnType::kFloat64, "FLOP", "of the keys that queries may see"},
      {"weight_bytes", ColumnType::kFloat64, "B", "each block's weights, once an evaluation"},
      {"cache_bytes", ColumnType::kFloat64, "B", "keys and values read and written"},
      timing("peak_memory", "B",
             "most of the device's memory that tensors took, beyond the weights"),
      {"planned_memory", ColumnType::kFloat64, "B", "what the memory plan foresaw of it"},
      {"micro_batch", ColumnType::kInt64, "", "images at once, after division for memory"},
      {nonfinite_column().name, ColumnType::kInt64, "",
       "images of the last timed sampling with a value that is not finite"},
      {"exclusive", ColumnType::kInt64, "", "1: nothing else was seen to use the device"},
      timing("foreign_cpu_share", "", "CPU time of others over that of all CPUs"),
      {"smoke", ColumnType::kInt64, "", "1: a trial run"},
      {"compute", ColumnType::kString, "", "compute type the job ran in"}};
  for (const char* kind : {"gemm", "attention", "norm", "gelu", "update", "copy", "other"})
    columns.push_back(timing(fmt::format("share_{}", kind), "",
                             fmt::format("part of the kernels' time, of kind {}", kind)));
  return columns;
}

std::vector<ArrayInfo> arrays() {
  const std::vector<std::string> kernel = {"kernel, the longest first"};
  return {{"benchmark/<point>/seconds",
           ElementType::kFloat64,
           {"repeat"},
           "s",
           "noise to images",
           true},
          {"benchmark/<point>/block_seconds",
           ElementType::kFloat64,
           {"repeat", "block in checkpoint order"},
           "s",
           "inversion of each block",
           true},
          {"benchmark/<point>/kernels/name", ElementType::kString, kernel, "",
           "kernels of the profiled sampling; on a CPU operations and ranges", true},
          {"benchmark/<point>/kernels/kind", ElementType::kString, kernel, "", "what it belongs to",
           true},
          {"benchmark/<point>/kernels/seconds", ElementType::kFloat64, kernel, "s",
           "of all blocks, without what it calls", true},
          {"benchmark/<point>/kernels/calls", ElementType::kFloat64, kernel, "", "of all blocks",
           true}};
}

const bool registered = register_experiment<Settings>(
    {.name = "benchmark",
     .description = "Times of sampling by block and kernel, and the rates of matrix products, "
                    "attention and copies on the same device.",
     .revision = 2,
     .timed = true,
     .fields = {},
     .columns = columns(),
     .arrays = arrays()},
    run);

}  // namespace
}  // namespace tarflow::experiments
