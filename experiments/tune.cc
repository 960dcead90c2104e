// Which method serves each block best on this device, measured, as a strategy ready to use
// (docs/tuning.md).
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "experiments/worker/device_share.h"
#include "experiments/worker/distance_rise.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "experiments/worker/tunings.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/image_settings.h"
#include "framework/core/strategy_yaml.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings {
  std::string model;
  double deviation = 0.03, cfg = 0, attn_temp = 1;
  int64_t batch = 64;
  std::string device = "auto", compute_type = "auto";
  double memory_limit = 0, fd_rise = 0;
  RiseSettings rise;

  void bind(Binder& binder) {
    binder.model(model, {.name = "model",
                         .description = "A name under `models:`.",
                         .required = true,
                         .example = "afhq"});
    binder.number(deviation,
                  {.name = "deviation",
                   .description = "What the images may deviate from those of sequential sampling: "
                                  "the median over images of the rms difference over the rms of "
                                  "all images, before self-denoising. With `fd_rise`: what the "
                                  "search begins with.",
                   .minimum = 1e-6,
                   .maximum = 10,
                   .example = 0.01});
    binder.number(cfg, {.name = "cfg", .description = "Guidance weight; 0: none.", .minimum = 0});
    binder.number(attn_temp, {.name = "attn_temp",
                              .description = "Attention temperature of the unconditional pass.",
                              .minimum = 1e-6});
    binder.integer(batch, {.name = "batch",
                           .description = "Images sampled at once, as evaluate's `chunk`: the best "
                                          "methods depend on it.",
                           .minimum = 1,
                           .example = 128});
    bind_device(binder, device, compute_type);
    bind_memory_limit(binder, memory_limit);
    bind_rise(binder);
  }

  void bind_rise(Binder& binder) {
    binder.number(fd_rise, {.name = "fd_rise",
                            .description = "What the Frechet distance may rise by over that of "
                                           "sequential sampling of the same noise, as a share: "
                                           "0.01 is 1 %. It takes the place of the deviation as "
                                           "the bound; needs extractor and reference. 0: none.",
                            .minimum = 0,
                            .maximum = 10,
                            .example = 0.01});
    bind_extractor(binder, rise.extractor, /*required=*/false);
    bind_extractor_precision(binder, rise.extractor_precision);
    binder.path(rise.reference,
                {.name = "reference",
                 .description = "Real images or their statistics, as evaluate's `reference`; for "
                                "`fd_rise`.",
                 .example = "assets/cifar10",
                 .identity = Identity::kContent,
                 .file = FileKind::kReference});
    bind_layout(binder, rise.layout, kLayout, "reference");
    binder.integer(rise.images, {.name = "distance_images",
                                 .description = "Images sampled for each distance of `fd_rise`.",
                                 .minimum = 2,
                                 .example = 5000});
    bind_self_denoising(binder, rise.self_denoising_lr, /*shared=*/false);
  }

  void require_whole(const Model& model) const {
    if (fd_rise == 0 && (!rise.extractor.empty() || !rise.reference.empty())) {
      throw Error("`extractor` and `reference` are for `fd_rise`, which is not stated",
                  "state `fd_rise`, or leave the two out");
    }
    if (fd_rise == 0) return;
    if (rise.extractor.empty() || rise.reference.empty()) {
      throw Error("`fd_rise` needs both `extractor` and `reference`",
                  "state both, or leave `fd_rise` out and state `deviation`");
    }
    require_noise_level(rise.self_denoising_lr, model.shape.noise_std);
  }
};

// A number of each block, in checkpoint order, of the round that was chosen.
template <typename Of>
record::Array by_block(const Tuning& tuning, const Of& of) {
  std::vector<double> values;
  for (size_t b = 0; b < tuning.blocks.size(); ++b) values.push_back(of(b));
  return array_values(values);
}

void add_blocks(JobContext& context, const Tuning& tuning) {
  const Round& result = tuning.result();
  context.add("tune/crm_percent", {},
              by_block(tuning, [&](size_t b) { return tuning.blocks[b].crm_percent; }));
  context.add("tune/amplification", {},
              by_block(tuning, [&](size_t b) { return amplification(tuning.blocks[b]); }));
  context.add("tune/sequential_seconds", {},
              by_block(tuning, [&](size_t b) { return tuning.blocks[b].sequential_seconds; }));
  context.add("tune/predicted_seconds", {}, array_values(result.predicted_block_seconds));
  context.add("tune/measured_seconds", {}, array_values(result.block_seconds));
  context.add("tune/deviation", {}, array_values(result.block_deviations));
  context.add("tune/rounding", {},
              by_block(tuning, [&](size_t b) { return tuning.blocks[b].rounding; }));
  const double whole = result.predicted_deviation * result.predicted_deviation;
  context.add("tune/error_share", {}, by_block(tuning, [&](size_t b) {
                const double own = result.block_deviations[b], rounding = tuning.blocks[b].rounding;
                const double square = std::max(0.0, own * own - rounding * rounding);
                return whole > 0 ? square / whole : 0.0;
              }));
  std::vector<std::string> methods;
  for (size_t b = 0; b < tuning.blocks.size(); ++b)
    methods.push_back(describe(result.strategy.block(static_cast<int>(b))));
  context.add("tune/method", {}, array_values(std::move(methods)));
}

void add_trials(JobContext& context, const Tuning& tuning) {
  std::vector<int64_t> blocks;
  std::vector<std::string> methods;
  std::vector<double> seconds, evaluations, passes, changes, deviations;
  for (size_t b = tuning.blocks.size(); b-- > 0;) {
    for (const Trial& trial : tuning.blocks[b].trials) {
      blocks.push_back(static_cast<int64_t>(b));
      methods.push_back(describe(trial.plan));
      seconds.push_back(trial.seconds);
      evaluations.push_back(trial.evaluations);
      passes.push_back(trial.passes);
      changes.push_back(trial.change);
      deviations.push_back(trial.deviation);
    }
  }
  context.add("tune/trials/block", {}, array_values(blocks));
  context.add("tune/trials/method", {}, array_values(std::move(methods)));
  context.add("tune/trials/seconds", {}, array_values(seconds));
  context.add("tune/trials/evaluations", {}, array_values(evaluations));
  context.add("tune/trials/passes", {}, array_values(passes));
  context.add("tune/trials/change", {}, array_values(changes));
  context.add("tune/trials/deviation", {}, array_values(deviations));
}

void add_rounds(JobContext& context, const Tuning& tuning) {
  const auto add = [&](const char* name, double Round::*member) {
    std::vector<double> values;
    for (const Round& round : tuning.rounds) values.push_back(round.*member);
    context.add(fmt::format("tune/rounds/{}", name), {}, array_values(values));
  };
  add("budget", &Round::budget);
  add("predicted_seconds", &Round::predicted_seconds);
  add("measured_seconds", &Round::measured_seconds);
  add("predicted_deviation", &Round::predicted_deviation);
  add("linear_deviation", &Round::linear_deviation);
  add("measured_deviation", &Round::measured_deviation);
  std::vector<double> rises, errors;
  for (const Round& round : tuning.rounds) {
    rises.push_back(round.rise.value);
    errors.push_back(round.rise.error);
  }
  context.add("tune/rounds/distance_rise", {}, array_values(rises));
  context.add("tune/rounds/distance_rise_error", {}, array_values(errors));
}

// The strategy as a file that a sweep takes by `use:` or by copying.
std::string write_strategy(JobContext& context, const Settings& settings, const KeptTuning& kept) {
  const Tuning& tuning = kept.tuning;
  const Round& result = tuning.result();
  const std::filesystem::path file = context.folder() / "strategy.yaml";
  write_file(
      file, fmt::format("# Model {}, {}, {} images at once, cfg {}, attn_temp {}: {:.3g} s a batch "
                        "(sequential {:.3g} s),\n# deviation {:.2g}.\n{}",
                        settings.model, device_name(context.device()), tuning.batch, settings.cfg,
                        settings.attn_temp, result.measured_seconds, tuning.sequential_seconds(),
                        result.measured_deviation, to_yaml(result.strategy)));
  context.log(fmt::format("the strategy in YAML: {}", file.string()));
  return std::filesystem::relative(file, context.cache_folder().parent_path().parent_path())
      .string();
}

void run(JobContext& context) {
  const Settings settings = read_settings<Settings>(context.settings());
  const at::Device device = context.device();
  const Model model = context.load_model(device, compute_type_from(settings.compute_type, device));
  settings.require_whole(model);
  std::optional<DistanceRise> rise;
  if (settings.fd_rise > 0) rise.emplace(context, model, settings.rise);
  DeviceShare share(device);
  TuningWish wish;
  wish.deviation = settings.deviation;
  wish.batch = settings.batch;
  wish.cfg = settings.cfg;
  wish.attn_temp = settings.attn_temp;
  wish.memory_limit = settings.memory_limit;
  wish.fd_rise = settings.fd_rise;
  if (rise) wish.rise = &*rise;
  context.progress("tuning", 0, model.shape.blocks, 0, "blocks");
  const KeptTuning kept = tuning_for(context, wish, model);
  share.look();
  if (!context.comm().first()) return;
  const Tuning& tuning = kept.tuning;
  const Round& result = tuning.result();
  set_tuned_columns(context, kept);
  context.set_all("strategy_yaml", to_yaml_line(result.strategy));
  context.set_all("strategy_file", write_strategy(context, settings, kept));
  context.set_all("micro_batch", tuning.batch);
  context.set_all("sequential_seconds", tuning.sequential_seconds());
  context.set_all("predicted_seconds", result.predicted_seconds);
  context.set_all("measured_seconds", result.measured_seconds);
  context.set_all("predicted_deviation", result.predicted_deviation);
  context.set_all("measured_deviation", result.measured_deviation);
  if (rise) {
    context.set_all("distance_name", rise->name());
    context.set_all("distance_rise", result.rise.value);
    context.set_all("distance_rise_error", result.rise.error);
  }
  context.set_all("trials", static_cast<int64_t>(tuning.trial_count()));
  context.set_all("rounds", static_cast<int64_t>(tuning.rounds.size()));
  context.set_all("tuning_seconds", tuning.seconds);
  const std::vector<DeviceUse> uses{share.use()};
  context.set_all("exclusive",
                  int64_t{kept.made && context.exclusive() && quiet(uses) && !stopped(uses)});
  context.set_all("smoke", int64_t{!context.job().smoke.is_null()});
  context.set_all("device", device_name(device));
  context.set_all("compute", to_string(model.compute));
  add_blocks(context, tuning);
  add_trials(context, tuning);
  add_rounds(context, tuning);
}

std::vector<Column> columns() {
  const auto seconds = [](const char* name, const char* description) {
    return Column{name, ColumnType::kFloat64, "s", description, true};
  };
  const auto chosen = [](const char* name, ColumnType type, const char* description) {
    return Column{name, type, "", description, true};
  };
  // What times decide is left out of digests, as times are.
  std::vector<Column> columns = {
      chosen("strategy_yaml", ColumnType::kString, "the strategy as a sweep file states it"),
      chosen("strategy_file", ColumnType::kString, "the same as a file, relative to the results"),
      {"micro_batch", ColumnType::kInt64, "",
       "images sampled at once; fewer than `batch` where memory does not hold them", true},
      seconds("sequential_seconds", "a batch, sequential in all blocks"),
      seconds("predicted_seconds", "a batch by the strategy, from the trials of single blocks"),
      seconds("measured_seconds", "the same as measured, the least of the repeats"),
      chosen("predicted_deviation", ColumnType::kFloat64,
             "deviation by the strategy, from the trials of single blocks"),
      chosen("measured_deviation", ColumnType::kFloat64, "the same as measured"),
      {"distance_name", ColumnType::kString, "", "of distance_rise: FID, or FD and the extractor"},
      chosen(
          "distance_rise", ColumnType::kFloat64,
          "distance of the strategy's samples over that of sequential ones, less 1; with fd_rise"),
      chosen("distance_rise_error", ColumnType::kFloat64,
             "standard error of distance_rise by the jackknife; NaN below 10 chunks"),
      chosen("trials", ColumnType::kInt64, "methods tried, of all blocks together"),
      chosen("rounds", ColumnType::kInt64, "strategies that were measured"),
      seconds("tuning_seconds", "all of the tuning, whichever job did it"),
      chosen("exclusive", ColumnType::kInt64,
             "1: this job tuned and had its device to itself, so its times count"),
      {"smoke", ColumnType::kInt64, "",
       "1: a trial run with few images, perhaps with an untrained model"},
      {"compute", ColumnType::kString, "", "compute type the job ran in"}};
  for (Column& column : tuned_columns()) {
    column.timing = true;
    columns.push_back(std::move(column));
  }
  return columns;
}

std::vector<ArrayInfo> arrays() {
  const auto array = [](const char* path, const char* axis, const char* unit, const char* meaning) {
    return ArrayInfo{path, ElementType::kFloat64, {axis}, unit, meaning, true};
  };
  constexpr const char* kBlock = "block in checkpoint order";
  constexpr const char* kTrial = "method tried, the last block first";
  constexpr const char* kRound = "strategy measured";
  return {
      {"tune/crm_percent",
       ElementType::kFloat64,
       {kBlock},
       "%",
       "share of the convergence ranking metric, on sequential samples"},
      array("tune/amplification", kBlock, "",
            "deviation of the final images per unit of tolerance of the block's windows; NaN "
            "where no window was followed to the end"),
      array("tune/sequential_seconds", kBlock, "s", "a batch, sequential"),
      array("tune/predicted_seconds", kBlock, "s", "a batch by the method chosen, in its trial"),
      array("tune/measured_seconds", kBlock, "s", "the same within the whole strategy"),
      array("tune/deviation", kBlock, "",
            "of the final images where this block alone is not sequential"),
      array("tune/rounding", kBlock, "",
            "deviation of the final images where the block's input changes by less than the "
            "compute type resolves"),
      array("tune/error_share", kBlock, "",
            "what the block's method adds to the square of the predicted deviation, as a share; "
            "the rest is rounding"),
      {"tune/method", ElementType::kString, {kBlock}, "", "the method chosen", true},
      {"tune/trials/block", ElementType::kInt64, {kTrial}, "", "the block", true},
      {"tune/trials/method", ElementType::kString, {kTrial}, "", "the method", true},
      array("tune/trials/seconds", kTrial, "s", "a batch"),
      array("tune/trials/evaluations", kTrial, "", "of a batch"),
      array("tune/trials/passes", kTrial, "",
            "tokens evaluated / T; half where the unconditional pass was left out"),
      array("tune/trials/change", kTrial, "",
            "deviation of the block's own output; NaN where it is not finite"),
      array("tune/trials/deviation", kTrial, "",
            "deviation of the final images; NaN where another method was faster and nearer"),
      array("tune/rounds/budget", kRound, "", "deviation for which it was chosen"),
      array("tune/rounds/predicted_seconds", kRound, "s", "a batch, from the trials"),
      array("tune/rounds/measured_seconds", kRound, "s", "a batch"),
      array("tune/rounds/predicted_deviation", kRound, "",
            "rounding once, and of each block what it deviates beyond rounding, by squares"),
      array("tune/rounds/linear_deviation", kRound, "", "sum of the blocks' deviations"),
      array("tune/rounds/measured_deviation", kRound, "", "as measured"),
      array("tune/rounds/distance_rise", kRound, "",
            "rise of the distance over that of sequential sampling; NaN without fd_rise"),
      array("tune/rounds/distance_rise_error", kRound, "", "its standard error; NaN: not known")};
}

const bool registered = register_experiment<Settings>(
    {.name = "tune",
     .description = "Measures which method serves each block best on the device and gives the "
                    "fastest strategy whose images deviate, or whose distance rises, no more "
                    "than stated.",
     .revision = 1,
     .timed = true,
     .fields = {},
     .columns = columns(),
     .arrays = arrays()},
    run);

}  // namespace
}  // namespace tarflow::experiments
