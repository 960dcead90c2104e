#include "experiments/worker/sampling_job.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "experiments/worker/calibration.h"
#include "experiments/worker/tunings.h"
#include "framework/core/error.h"
#include "framework/tensor/device.h"
#include "framework/tensor/noise.h"

namespace tarflow::experiments {

void SamplingSettings::bind(Binder& binder, StrategyField strategies) {
  binder.model(model, {.name = "model",
                       .description = "A name under `models:`.",
                       .required = true,
                       .example = "afhq"});
  if (strategies != StrategyField::kNone) {
    binder.strategy(
        strategy,
        {.name = "strategy",
         .description = "How the blocks are inverted: a published name such as [7-8-32-10] or For, "
                        "the three published lists, or a map of blocks.",
         .required = true,
         .example = "[7-8-32-10]",
         .shared = strategies == StrategyField::kShared,
         .tuned = strategies == StrategyField::kOwn});
    guesses.bind(binder);
  }
  binder.number(cfg,
                {.name = "cfg",
                 .description = "Guidance weight w; token t is guided by w t / (T-1). 0: none.",
                 .minimum = 0,
                 .example = 1.5});
  binder.number(attn_temp, {.name = "attn_temp",
                            .description = "Attention temperature of the unconditional pass.",
                            .minimum = 1e-6,
                            .example = 0.3});
  bind_seed(binder, seed);
  binder.integer(
      num_images,
      {.name = "num_images", .description = "Images to sample.", .minimum = 1, .example = 50000});
  binder.integer(chunk,
                 {.name = "chunk",
                  .description = "Images sampled at once, cut by image index. A stop with `scope: "
                                 "chunk` acts on them together. A chunk that needs more memory "
                                 "than a GPU or `memory_limit` allows is sampled in parts.",
                  .minimum = 1});
  binder.integers(
      labels,
      {.name = "labels",
       .description =
           "Classes of the images, repeated in this order. Default: uniform, by image index.",
       .minimum = 0,
       .example = {0, 2}});
  bind_device(binder, device, compute_type);
  bind_memory_limit(binder, memory_limit);
  bind_nonfinite(binder, nonfinite);
  guesses.nonfinite = nonfinite;
}

SampleOptions SamplingSettings::options() const {
  SampleOptions options;
  options.strategy = strategy;
  options.guidance = {cfg, attn_temp};
  return options;
}

SampleOptions sample_options(JobContext& context, const SamplingSettings& settings,
                             const Model& model, bool self_denoising) {
  SampleOptions options = settings.options();
  options.strategy = chosen_strategy(context, settings.strategy, settings.guesses, model);
  TuningWish wish;
  wish.batch = std::min(settings.chunk, settings.num_images);
  wish.cfg = settings.cfg;
  wish.attn_temp = settings.attn_temp;
  wish.memory_limit = settings.memory_limit;
  wish.self_denoising = self_denoising;
  options.strategy = tuned_strategy(context, options.strategy, wish, model);
  options.calibration = calibration_for(context, {options.strategy}, model, settings.memory_limit);
  return options;
}

std::vector<Chunk> chunks_of(int64_t num_images, int64_t chunk) {
  std::vector<Chunk> chunks;
  for (int64_t first = 0; first < num_images; first += chunk) {
    chunks.push_back(
        {static_cast<int64_t>(chunks.size()), first, std::min(chunk, num_images - first)});
  }
  return chunks;
}

Labels labels_of(const Model& model, uint64_t seed, const Chunk& chunk) {
  if (model.shape.classes == 0) return {};
  return uniform_labels(seed, chunk.first, chunk.count, model.shape.classes);
}

Labels labels_of(const Model& model, const SamplingSettings& settings, const Chunk& chunk) {
  const std::vector<int64_t>& fixed = settings.labels;
  if (fixed.empty()) return labels_of(model, static_cast<uint64_t>(settings.seed), chunk);
  const int64_t classes = model.shape.classes;
  for (const int64_t label : fixed) {
    if (label < classes) continue;
    throw Error(
        fmt::format("`labels`: {} is not a class of this model, which has {}", label, classes),
        classes > 0 ? fmt::format("classes are 0 to {}", classes - 1)
                    : "leave `labels` out for an unconditional model");
  }
  Labels labels;
  for (int64_t i = chunk.first; i < chunk.first + chunk.count; ++i)
    labels.push_back(fixed[static_cast<size_t>(i) % fixed.size()]);
  return labels;
}

at::Tensor noise_of(const Model& model, uint64_t seed, const Chunk& chunk) {
  return normal_noise(seed, chunk.first, chunk.count, model.shape.tokens(),
                      model.shape.token_width(), model.device);
}

void bind_memory_limit(Binder& binder, double& limit) {
  binder.number(
      limit, {.name = "memory_limit",
              .description = "Device memory for the work on images, beside the weights. A chunk "
                             "that needs more is sampled in parts: half of its images, a quarter, "
                             "and so on. 0: the free memory of a GPU; no limit on a CPU.",
              .unit = "GB",
              .minimum = 0,
              .example = 8,
              .identity = Identity::kNone});
}

BatchOptions batch_options(JobContext& context, double memory_limit, bool self_denoising) {
  BatchOptions options;
  options.self_denoising = self_denoising;
  if (memory_limit > 0) options.memory_limit = static_cast<int64_t>(1e9 * memory_limit);
  options.say = [&context](const std::string& line) { context.log(line); };
  return options;
}

BatchOptions batch_options(JobContext& context, const SamplingSettings& settings,
                           bool self_denoising) {
  return batch_options(context, settings.memory_limit, self_denoising);
}

void WorkTotals::add(const SampleResult& result, int64_t images) {
  if (residuals_.empty()) {
    for (const BlockWork& work : result.work) residuals_.push_back(work.residuals);
  }
  std::vector<int64_t> iterations;
  for (const BlockWork& work : result.work) {
    iterations.push_back(
        std::accumulate(work.iterations.begin(), work.iterations.end(), int64_t{0}));
  }
  iterations_.push_back(std::move(iterations));
  count_at_once(result.micro_batch == images ? images : 0,
                result.micro_batch == images ? 0 : result.micro_batch);
  block_passes_.resize(result.work.size(), 0.0);
  double evaluations = 0;  // of all blocks
  for (const BlockWork& work : result.work) {
    flops_ += work.cost.flops();
    evaluations += work.token_evaluations;
  }
  for (size_t b = 0; b < result.work.size() && evaluations > 0; ++b) {
    block_passes_[b] += result.work[b].token_evaluations / evaluations * result.block_passes *
                        static_cast<double>(images);
  }
  passes_ += result.block_passes * static_cast<double>(images);
  images_ += images;
}

void WorkTotals::count_at_once(int64_t whole, int64_t divided) {
  whole_ = std::max(whole_, whole);
  if (divided > 0) divided_ = divided_ > 0 ? std::min(divided_, divided) : divided;
}

void WorkTotals::append(const WorkTotals& later) {
  if (residuals_.empty()) residuals_ = later.residuals_;
  iterations_.insert(iterations_.end(), later.iterations_.begin(), later.iterations_.end());
  passes_ += later.passes_;
  block_passes_.resize(std::max(block_passes_.size(), later.block_passes_.size()), 0.0);
  for (size_t b = 0; b < later.block_passes_.size(); ++b)
    block_passes_[b] += later.block_passes_[b];
  flops_ += later.flops_;
  count_at_once(later.whole_, later.divided_);
  images_ += later.images_;
}

dist::Tensors WorkTotals::tensors() const {
  dist::Tensors tensors;
  for (const record::Array& array : state()) tensors[array.path] = to_tensor(array);
  return tensors;
}

WorkTotals WorkTotals::from(const dist::Tensors& tensors) {
  std::vector<record::Array> arrays;
  for (const auto& [path, tensor] : tensors) {
    arrays.push_back(array_values(tensor));
    arrays.back().path = path;
  }
  WorkTotals totals;
  totals.restore(ArrayMap(std::move(arrays)));
  return totals;
}

double WorkTotals::block_passes() const {
  return images_ ? passes_ / static_cast<double>(images_) : 0;
}

void WorkTotals::add_arrays(JobContext& context) const {
  const int64_t blocks = static_cast<int64_t>(residuals_.size());
  std::vector<int64_t> iterations;
  for (const auto& chunk : iterations_)
    iterations.insert(iterations.end(), chunk.begin(), chunk.end());
  context.add("sampling/iterations", {},
              array_values(iterations, {static_cast<int64_t>(iterations_.size()), blocks}));
  std::vector<double> passes = block_passes_;
  for (double& value : passes) value /= static_cast<double>(std::max<int64_t>(images_, 1));
  context.add("sampling/passes", {}, array_values(passes));
  for (size_t block = 0; block < residuals_.size(); ++block) {
    if (residuals_[block].empty()) continue;
    context.add("sampling/residuals/<block>", {fmt::format("block_{}", block)},
                array_values(residuals_[block]));
  }
}

std::vector<record::Array> WorkTotals::state() const {
  const int64_t chunks = static_cast<int64_t>(iterations_.size()),
                blocks = static_cast<int64_t>(residuals_.size());
  std::vector<int64_t> iterations, lengths;
  std::vector<double> residuals;
  for (const auto& chunk : iterations_)
    iterations.insert(iterations.end(), chunk.begin(), chunk.end());
  for (const auto& block : residuals_) {
    lengths.push_back(static_cast<int64_t>(block.size()));
    residuals.insert(residuals.end(), block.begin(), block.end());
  }
  std::vector<record::Array> arrays = {array_values(std::vector<double>{passes_}),
                                       array_values(std::vector<double>{flops_}),
                                       array_values(std::vector<int64_t>{images_}),
                                       array_values(std::vector<int64_t>{whole_, divided_}),
                                       array_values(iterations, {chunks, blocks}),
                                       array_values(block_passes_),
                                       array_values(lengths),
                                       array_values(residuals)};
  size_t next = 0;
  for (const char* name : {"passes", "flops", "images", "at_once", "iterations", "block_passes",
                           "residual_counts", "residuals"})
    arrays[next++].path = fmt::format("work/{}", name);
  return arrays;
}

void WorkTotals::restore(const ArrayMap& arrays) {
  const at::Tensor iterations = arrays.tensor("work/iterations"),
                   lengths = arrays.tensor("work/residual_counts"),
                   residuals = arrays.tensor("work/residuals");
  WorkTotals totals;
  totals.passes_ = arrays.number("work/passes");
  const at::Tensor passes = arrays.tensor("work/block_passes").to(at::kDouble).contiguous();
  totals.block_passes_.assign(passes.const_data_ptr<double>(),
                              passes.const_data_ptr<double>() + passes.numel());
  totals.flops_ = arrays.number("work/flops");
  totals.images_ = static_cast<int64_t>(arrays.number("work/images"));
  const at::Tensor at_once = arrays.tensor("work/at_once");
  if (at_once.numel() != 2) throw Error("the work kept is not whole");
  totals.whole_ = at_once.const_data_ptr<int64_t>()[0];
  totals.divided_ = at_once.const_data_ptr<int64_t>()[1];
  const int64_t* iteration = iterations.const_data_ptr<int64_t>();
  for (int64_t c = 0; c < iterations.size(0); ++c, iteration += iterations.size(1))
    totals.iterations_.emplace_back(iteration, iteration + iterations.size(1));
  const double *residual = residuals.const_data_ptr<double>(), *const end =
                                                                   residual + residuals.numel();
  for (int64_t b = 0; b < lengths.numel(); ++b) {
    const int64_t length = lengths.const_data_ptr<int64_t>()[b];
    if (length < 0 || length > end - residual) throw Error("the residuals kept are not whole");
    totals.residuals_.emplace_back(residual, residual + length);
    residual += length;
  }
  *this = std::move(totals);
}

void add_labels(JobContext& context, const Labels& labels) {
  if (!labels.empty()) context.add("images/labels", {}, array_values(labels));
}

ArrayInfo labels_array() {
  return {"images/labels",
          ElementType::kInt64,
          {"image"},
          "",
          "class of each image of the other images/ arrays; absent for an unconditional model"};
}

std::vector<ArrayInfo> work_arrays() {
  return guess_arrays_and(
      {{"sampling/iterations",
        ElementType::kInt64,
        {"chunk", "block in checkpoint order"},
        "",
        "Jacobi iterations (single steps when sequential, evaluations of a window), summed over "
        "segments"},
       {"sampling/passes",
        ElementType::kFloat64,
        {"block in checkpoint order"},
        "",
        "tokens evaluated / T, a mean over images; the column block_passes is their sum"},
       {"sampling/residuals/<block>",
        ElementType::kFloat64,
        {"iteration after iteration, segment after segment"},
        "",
        "||x' - x||_2 / (N D) of the first chunk, where a stop measured it"}});
}

std::vector<Column> work_columns() {
  std::vector<Column> columns = tuned_columns();
  const std::vector<Column> work = {
      guess_column(),
      {"block_passes", ColumnType::kFloat64, "",
       "tokens evaluated / T, summed over blocks, a mean over images"},
      {"achieved_flops", ColumnType::kFloat64, "FLOP/s",
       "floating point operations of the linear layers and of the keys that queries may see, of "
       "all evaluations, over sampling_seconds",
       true},
      {"micro_batch", ColumnType::kInt64, "",
       "images sampled at once; fewer than `chunk` where memory divided the chunks", true},
      {"sampling_seconds", ColumnType::kFloat64, "s",
       "noise to images, all chunks; set-up and warm-up left out", true},
      {"compute", ColumnType::kString, "", "compute type the job ran in"}};
  columns.insert(columns.end(), work.begin(), work.end());
  return columns;
}

void report_work(JobContext& context, const Model& model, const WorkTotals& work,
                 double sampling_seconds) {
  work.add_arrays(context);
  context.set_all("block_passes", work.block_passes());
  context.set_all("micro_batch", work.micro_batch());
  context.set_all("sampling_seconds", sampling_seconds);
  if (sampling_seconds > 0) context.set_all("achieved_flops", work.flops() / sampling_seconds);
  context.set_all("device", device_name(model.device));
  context.set_all("compute", to_string(model.compute));
}

}  // namespace tarflow::experiments
