#include "experiments/worker/tuning_trials.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "experiments/worker/job_context.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/core/tuning.h"
#include "framework/metrics/igm_crm.h"
#include "framework/model/patchify.h"
#include "framework/sampling/solve.h"
#include "framework/tensor/memory.h"
#include "framework/tensor/noise.h"

namespace tarflow::experiments {
namespace {

// A seed that nothing else uses, since images are sampled from small ones.
constexpr uint64_t kTuningSeed = 0x7C4E000000000001;
// Runs of a batch that are timed, at most; more than two only while they take less than this
// together, in seconds of all batches. One run may have been disturbed: short ones are timed twice
// at least, unless several batches are timed.
constexpr int kRuns = 10;
constexpr double kEnoughSeconds = 0.3, kShortSeconds = 2;

// Images that metrics look at, and at once.
constexpr int64_t kMetricImages = 64, kMetricBatch = 16;

// The rms of each image over that of all of `exact`; both (n, T, D), one n a multiple of the
// other's.
at::Tensor relative_rms(const at::Tensor& rows, const at::Tensor& exact) {
  const at::Tensor whole = exact.to(at::kDouble).square().mean().sqrt();
  return (rows.to(at::kDouble) - exact.to(at::kDouble))
      .square()
      .mean(at::IntArrayRef{1, 2})
      .sqrt()
      .div(whole);
}

double evaluations_of(const BlockWork& work) {
  if (work.kinds.empty())
    return std::accumulate(work.iterations.begin(), work.iterations.end(), 0.0);
  return static_cast<double>(work.kinds.size());
}

}  // namespace

int64_t tuning_batch(const Model& model, const TuningRequest& request) {
  const Strategy sequential{"For", std::vector<BlockPlan>(model.blocks.size())};
  return images_that_fit(model, request.batch, request.guidance, sequential, request.memory);
}

TuningTrials::TuningTrials(const Model& model, const TuningRequest& request,
                           std::shared_ptr<const Calibration> calibration,
                           const TuningObserver& observer)
    : model_(model), request_(request), calibration_(std::move(calibration)), observer_(observer) {
  batch_ = tuning_batch(model, request);
  batches_ = (kTuningImages + batch_ - 1) / batch_;
  images_ = batch_ * batches_;
  probes_ = std::min(images_, kTuningProbes);
  for (int64_t i = 0; i < images_ && model.shape.classes > 0; ++i)
    labels_.push_back(i % model.shape.classes);
  evaluator_ = make_evaluator(model, batch_, request.guidance);
}

Labels TuningTrials::labels_of_batch(int64_t index) const {
  return part_of(labels_, index * batch_, batch_);
}

at::Tensor TuningTrials::part(const at::Tensor& state, int64_t index) const {
  return state.slice(0, index * batch_, (index + 1) * batch_).to(model_.device);
}

at::Tensor TuningTrials::state(int block) const { return states_[model_.shape.blocks - 1 - block]; }

at::Tensor TuningTrials::probes_before(int block) const {
  return state(block).slice(0, 0, probes_);
}

at::Tensor TuningTrials::probes_after(int block) const { return probes_before(block - 1); }

TuningTrials::Run TuningTrials::invert(int block, const BlockPlan& plan, const at::Tensor& x,
                                       const Labels& labels) {
  const c10::NoGradGuard no_grad;
  const BlockWeights& weights = model_.blocks[static_cast<size_t>(block)];
  SolveOptions options;
  if (calibration_) options.linear = &calibration_->blocks.at(static_cast<size_t>(block));
  Run run;
  run.work.block = block;
  const Stopwatch watch(model_.device);
  evaluator_->begin(block, labels, x.size(0));
  const at::Tensor z = to_block_order(weights, x).contiguous();
  run.x = to_block_order(weights, invert_block(*evaluator_, plan, z, options, &run.work));
  run.seconds = watch.seconds();
  return run;
}

TuningTrials::Run TuningTrials::timed(int block, const BlockPlan& plan, const at::Tensor& x,
                                      const Labels& labels) {
  if (!model_.device.is_cpu()) invert(block, plan, x, labels);  // records graphs
  Run best;
  best.seconds = std::numeric_limits<double>::infinity();
  double spent = 0;
  for (int runs = 0; again(runs, spent); ++runs) {
    observer_.stop_if_requested();
    Run run = invert(block, plan, x, labels);
    spent += run.seconds;
    if (run.seconds < best.seconds) best = std::move(run);
  }
  return best;
}

bool TuningTrials::again(int runs, double spent) const {
  if (runs == 0) return true;
  if (runs < 2 && batches_ == 1 && spent < kShortSeconds) return true;
  return runs < kRuns && spent < kEnoughSeconds / static_cast<double>(batches_);
}

at::Tensor TuningTrials::sequential(std::vector<double>& seconds) {
  const int64_t blocks = model_.shape.blocks;
  at::Tensor x = normal_noise(kTuningSeed, 0, images_, model_.shape.tokens(),
                              model_.shape.token_width(), model_.device) *
                 model_.prior_std;
  std::vector<at::Tensor> states = {x.cpu()};
  seconds.assign(static_cast<size_t>(blocks), 0.0);
  for (int block = static_cast<int>(blocks) - 1; block >= 0; --block) {
    std::vector<at::Tensor> parts;
    for (int64_t i = 0; i < batches_; ++i) {
      const Run run =
          timed(block, BlockPlan{Sequential{}}, part(states.back(), i), labels_of_batch(i));
      seconds[static_cast<size_t>(block)] += run.seconds / static_cast<double>(batches_);
      parts.push_back(run.x.cpu());
    }
    states.push_back(at::cat(parts));
    if (!states.back().isfinite().all().item<bool>()) {
      throw Error(fmt::format("the tuning fails: block {} gives values that are not finite", block),
                  "check the checkpoint with `sample` and strategy For");
    }
  }
  states_ = at::stack(states);
  return states_;
}

std::vector<double> TuningTrials::crm_percent() const {
  metrics::IgmCrm sums(model_);
  const int64_t count = std::min(images_, kMetricImages);
  for (int64_t first = 0; first < count; first += kMetricBatch) {
    const int64_t part = std::min(kMetricBatch, count - first);
    const at::Tensor tokens = state(-1).slice(0, first, first + part).to(model_.device);
    sums.add(unpatchify(tokens, model_.shape.patch_size), part_of(labels_, first, part));
  }
  std::vector<double> percent;
  for (const metrics::BlockMetrics& block : sums.result(metrics::MatrixNorm::kSpectral)) {
    if (!std::isfinite(block.crm_percent))
      throw Error("the tuning fails: the CRM of a block is not finite",
                  "check the checkpoint with `igm_crm`");
    percent.push_back(block.crm_percent);
  }
  return percent;
}

bool TuningTrials::fits(const BlockPlan& plan) const {
  const Strategy all{"", std::vector<BlockPlan>(model_.blocks.size(), plan)};
  return images_that_fit(model_, batch_, request_.guidance, all, request_.memory) == batch_;
}

std::optional<Tried> TuningTrials::tried(int block, const BlockPlan& plan) {
  if (!fits(plan)) {
    observer_.say(fmt::format("not tried, since it does not fit into memory: {}", describe(plan)));
    return std::nullopt;
  }
  Tried tried;
  tried.trial.plan = plan;
  std::vector<at::Tensor> outputs;
  const double batches = static_cast<double>(batches_);
  try {
    for (int64_t i = 0; i < batches_; ++i) {
      const Run run = timed(block, plan, part(state(block), i), labels_of_batch(i));
      tried.trial.seconds += run.seconds / batches;
      tried.trial.evaluations += evaluations_of(run.work) / batches;
      tried.trial.passes +=
          run.work.token_evaluations / static_cast<double>(model_.shape.tokens()) / batches;
      outputs.push_back(run.x.cpu());
    }
  } catch (const c10::OutOfMemoryError&) {
    observer_.say(fmt::format("not tried, out of memory: {}", describe(plan)));
    return std::nullopt;
  }
  const at::Tensor all = at::cat(outputs);
  tried.trial.change = deviation(all, state(block - 1));
  tried.probes = all.slice(0, 0, probes_).clone();
  return tried;
}

double TuningTrials::deviation(const at::Tensor& rows, const at::Tensor& exact) const {
  const at::Tensor each = relative_rms(rows, exact).contiguous();
  if (!each.isfinite().all().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
  const double* const first = each.const_data_ptr<double>();
  return median({first, first + each.numel()});
}

at::Tensor TuningTrials::rounded_otherwise(int block, const at::Tensor& probes) const {
  // A part of the spacing of numbers: enough that some values round to a neighbour, too little to
  // matter itself. States are float32, so that less than their own spacing would change nothing.
  constexpr double kPart = 1.0 / 32, kFloat32 = 0x1p-23, kBFloat16 = 0x1p-8;
  const double relative = model_.compute == ComputeType::kBFloat16 ? kBFloat16 * kPart : kFloat32;
  const at::Tensor noise =
      normal_noise(kTuningSeed + 1 + static_cast<uint64_t>(block), 0, probes.size(0),
                   probes.size(1), probes.size(2), at::Device(at::kCPU));
  return probes * (1 + relative * noise);
}

at::Tensor TuningTrials::followed(int block, const at::Tensor& rows) {
  std::vector<at::Tensor> parts;
  for (int64_t first = 0; first < rows.size(0); first += batch_) {
    observer_.stop_if_requested();
    const int64_t count = std::min(batch_, rows.size(0) - first);
    Labels labels;
    for (int64_t i = first; i < first + count && !labels_.empty(); ++i)
      labels.push_back(labels_[static_cast<size_t>(i % probes_)]);
    parts.push_back(invert(block, BlockPlan{Sequential{}},
                           rows.slice(0, first, first + count).to(model_.device), labels)
                        .x.cpu());
  }
  return parts.empty() ? rows : at::cat(parts);
}

TuningTrials::Chain TuningTrials::chain(const Strategy& strategy, const at::Tensor& noise,
                                        const Labels& labels) {
  const int blocks = model_.shape.blocks;
  Chain chain;
  chain.x = noise;
  chain.block_seconds.resize(static_cast<size_t>(blocks));
  const Stopwatch watch(model_.device);
  for (int block = blocks - 1; block >= 0; --block) {
    observer_.stop_if_requested();
    Run run = invert(block, strategy.block(block), chain.x, labels);
    chain.block_seconds[static_cast<size_t>(block)] = run.seconds;
    chain.x = std::move(run.x);
  }
  chain.seconds = watch.seconds();
  return chain;
}

void TuningTrials::run(const Strategy& strategy, Round& round) {
  const int blocks = model_.shape.blocks;
  const double batches = static_cast<double>(batches_);
  round.block_seconds.assign(static_cast<size_t>(blocks), 0.0);
  round.measured_seconds = 0;
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < batches_; ++i) {
    const Labels labels = labels_of_batch(i);
    const at::Tensor noise = part(state(blocks - 1), i);
    if (!model_.device.is_cpu()) chain(strategy, noise, labels);  // records graphs
    Chain best = chain(strategy, noise, labels);
    double spent = best.seconds;
    for (int runs = 1; again(runs, spent); ++runs) {
      Chain other = chain(strategy, noise, labels);
      spent += other.seconds;
      if (other.seconds < best.seconds) best = std::move(other);
    }
    round.measured_seconds += best.seconds / batches;
    for (size_t b = 0; b < best.block_seconds.size(); ++b)
      round.block_seconds[b] += best.block_seconds[b] / batches;
    images.push_back(best.x.cpu());
  }
  round.measured_deviation = deviation(at::cat(images), state(-1));
}

}  // namespace tarflow::experiments
