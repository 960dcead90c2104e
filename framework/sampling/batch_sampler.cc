#include "framework/sampling/batch_sampler.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/sampling/memory_plan.h"
#include "framework/tensor/memory.h"

namespace tarflow {
namespace {

constexpr double kUsedShare = 0.9;  // of the free memory; no plan knows about the rest

// Bytes that the work on a batch may take; nothing without a limit.
std::optional<int64_t> limit_of(const Model& model, const BatchOptions& batch) {
  if (batch.memory_limit) return batch.memory_limit;
  const std::optional<int64_t> free = free_memory(model.device);
  if (!free) return std::nullopt;
  return static_cast<int64_t>(kUsedShare * static_cast<double>(*free));
}

int64_t images_within(const std::optional<int64_t>& limit, const Model& model, int64_t images,
                      const Guidance& guidance, const Strategy& strategy, bool self_denoising) {
  return limit ? images_within(*limit, images, model, guidance, strategy, self_denoising) : images;
}

// ||x' - x||_2 / (N D) over all parts: after each iteration, segment after segment.
std::vector<double> joined_residuals(const std::vector<const BlockWork*>& parts,
                                     const std::vector<int64_t>& sizes,
                                     const std::vector<int>& iterations) {
  std::vector<double> residuals;
  const double images = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), int64_t{}));
  std::vector<size_t> begin(parts.size(), 0);  // of the segment, in each part's residuals
  for (size_t segment = 0; segment < iterations.size(); ++segment) {
    for (int k = 0; k < iterations[segment]; ++k) {
      double squares = 0;
      for (size_t p = 0; p < parts.size(); ++p) {
        if (k >= parts[p]->iterations[segment]) continue;
        const double part = parts[p]->residuals.at(begin[p] + static_cast<size_t>(k));
        squares += std::pow(part * static_cast<double>(sizes[p]), 2);
      }
      residuals.push_back(std::sqrt(squares) / images);
    }
    for (size_t p = 0; p < parts.size(); ++p)
      begin[p] += static_cast<size_t>(parts[p]->iterations[segment]);
  }
  return residuals;
}

BlockWork joined_work(const std::vector<const BlockWork*>& parts,
                      const std::vector<int64_t>& sizes) {
  // A window has one entry of iterations. Fronts and kinds are those of the part with the most.
  BlockWork work = **std::max_element(parts.begin(), parts.end(), [](const auto* a, const auto* b) {
    return a->kinds.size() < b->kinds.size();
  });
  double evaluations = 0, images = 0;
  work.cost = {};
  for (size_t p = 0; p < parts.size(); ++p) {
    work.cost += parts[p]->cost;
    work.longest = std::max(work.longest, parts[p]->longest);
    for (size_t i = 0; i < work.iterations.size(); ++i)
      work.iterations[i] = std::max(work.iterations[i], parts[p]->iterations[i]);
    evaluations += parts[p]->token_evaluations * static_cast<double>(sizes[p]);
    images += static_cast<double>(sizes[p]);
  }
  work.token_evaluations = evaluations / images;
  if (!work.residuals.empty()) work.residuals = joined_residuals(parts, sizes, work.iterations);
  return work;
}

}  // namespace

int64_t images_that_fit(const Model& model, int64_t images, const Guidance& guidance,
                        const Strategy& strategy, const BatchOptions& batch) {
  return images_within(limit_of(model, batch), model, images, guidance, strategy,
                       batch.self_denoising);
}

Labels part_of(const Labels& labels, int64_t first, int64_t count) {
  if (labels.empty()) return {};
  return {labels.begin() + first, labels.begin() + first + count};
}

void in_parts(int64_t images, const int64_t& size, const std::function<void()>& halve,
              const std::function<void(int64_t first, int64_t count)>& work) {
  for (int64_t first = 0; first < images;) {
    const int64_t count = std::min(size, images - first);
    bool fits = true;
    try {
      work(first, count);
    } catch (const c10::OutOfMemoryError&) {
      if (count == 1) throw;
      fits = false;  // the exception holds memory until the handler ends
    }
    if (fits) {
      first += count;
    } else {
      halve();
    }
  }
}

Strategy for_part(const Strategy& strategy, int64_t part, int64_t whole) {
  Strategy result = strategy;
  if (part == whole) return result;
  for (BlockPlan& plan : result.blocks) {
    Stop* const stop = stop_of(plan);
    // The sum of squares of the whole may be (threshold N D)^2. A part of n images may have n / N
    // of it. In the other norms the whole is below the threshold if every part is.
    if (stop && stop->norm == Norm::kPublished && stop->scope == Scope::kChunk)
      stop->threshold *= std::sqrt(static_cast<double>(whole) / static_cast<double>(part));
  }
  return result;
}

SampleResult joined(const std::vector<SampleResult>& parts, const std::vector<int64_t>& sizes) {
  if (parts.size() == 1) return parts.front();
  SampleResult result;
  std::vector<at::Tensor> images;
  double count = 0;
  for (size_t p = 0; p < parts.size(); ++p) {
    images.push_back(parts[p].images);
    result.micro_batch = std::max(result.micro_batch, parts[p].micro_batch);
    result.block_passes += parts[p].block_passes * static_cast<double>(sizes[p]);
    count += static_cast<double>(sizes[p]);
  }
  result.images = at::cat(images);
  result.block_passes /= count;
  for (size_t state = 0; state < parts.front().trace.size(); ++state) {
    std::vector<at::Tensor> states;
    for (const SampleResult& part : parts) states.push_back(part.trace[state]);
    result.trace.push_back(at::cat(states));
  }
  for (size_t block = 0; block < parts.front().work.size(); ++block) {
    std::vector<const BlockWork*> work;
    for (const SampleResult& part : parts) work.push_back(&part.work[block]);
    result.work.push_back(joined_work(work, sizes));
  }
  return result;
}

BatchPlan::BatchPlan(const Model& model, Guidance guidance, BatchOptions batch)
    : model_(model), guidance_(guidance), batch_(std::move(batch)) {}

BatchPlan::Planned BatchPlan::plan(int64_t images, const Strategy& strategy) const {
  Planned planned{images, strategy.blocks, images};
  const std::optional<int64_t> limit = limit_of(model_, batch_);
  const auto plan_of = [&](int64_t count) {
    return memory_plan(model_, count, guidance_, strategy, batch_.self_denoising);
  };
  planned.size = images_within(limit, model_, images, guidance_, strategy, batch_.self_denoising);
  if (!batch_.say) return planned;
  batch_.say("memory plan: " + plan_of(images).str());
  if (planned.size == images) return planned;
  batch_.say(fmt::format("{:.3g} GB are free for it: batches are divided, {}",
                         static_cast<double>(*limit) / 1e9, plan_of(planned.size).str()));
  return planned;
}

void BatchPlan::use(int64_t images, const Strategy& strategy,
                    const std::function<void()>& release) {
  const auto found = std::find_if(planned_.begin(), planned_.end(), [&](const Planned& planned) {
    // A plan for more images serves fewer ones: the last chunk of a job is often smaller.
    return planned.images >= images && planned.blocks == strategy.blocks;
  });
  current_ = static_cast<size_t>(found - planned_.begin());
  if (found == planned_.end()) {
    release();  // the caller's memory counts as free
    planned_.push_back(plan(images, strategy));
  }
  size_ = planned_[current_].size;
}

void BatchPlan::halve() {
  release_unused_memory(model_.device);
  size_ = planned_[current_].size = (size_ + 1) / 2;
  if (batch_.say)
    batch_.say(fmt::format("out of memory: continuing with {} images at once", size_));
}

BatchSampler::BatchSampler(const Model& model, SampleOptions options, BatchOptions batch)
    : model_(model),
      options_(with_parts(std::move(options))),
      plan_(model, options_.guidance, std::move(batch)) {}

SampleOptions BatchSampler::with_parts(SampleOptions options) const {
  if (!options.on_progress) return options;
  options.on_progress = [part = part_, say = std::move(options.on_progress)](double share) {
    say((static_cast<double>(part->first) + share * static_cast<double>(part->count)) /
        static_cast<double>(part->images));
  };
  return options;
}

void BatchSampler::plan(int64_t images, const Strategy& strategy) {
  plan_.use(images, strategy, [this] { release(); });
}

void BatchSampler::make_sampler(int64_t images) {
  // A larger sampler of another strategy would hold memory that this plan counts as free.
  const int64_t capacity = sampler_ ? sampler_->capacity() : 0;
  if (capacity >= images && capacity <= plan_.size()) return;
  release();  // before the new one allocates
  sampler_.emplace(model_, images, options_);
}

void BatchSampler::halve() {
  release();
  plan_.halve();
}

void BatchSampler::prepare(int64_t images) {
  plan(images, options_.strategy);
  bool done = false;
  in_parts(
      images, plan_.size(), [this] { halve(); },
      [&](int64_t, int64_t count) {
        if (!done) make_sampler(count);  // the same sampler serves the other parts
        done = true;
      });
}

SampleResult BatchSampler::sample(const at::Tensor& noise, const Labels& labels) {
  return sample(noise, labels, options_.strategy);
}

SampleResult BatchSampler::sample(const at::Tensor& noise, const Labels& labels,
                                  const Strategy& strategy) {
  const int64_t images = noise.size(0);
  plan(images, strategy);
  std::vector<SampleResult> parts;
  std::vector<int64_t> sizes;
  in_parts(
      images, plan_.size(), [this] { halve(); },
      [&](int64_t first, int64_t count) {
        make_sampler(count);
        *part_ = {first, count, images};
        parts.push_back(sampler_->sample(noise.slice(0, first, first + count),
                                         part_of(labels, first, count),
                                         for_part(strategy, count, images)));
        sizes.push_back(count);
      });
  return joined(parts, sizes);
}

at::Tensor BatchSampler::gradient(const at::Tensor& images, const Labels& labels) {
  const int64_t count = images.size(0);
  if (!plan_.in_use(count)) plan(count, options_.strategy);  // else keep the images' plan
  std::vector<at::Tensor> parts;
  in_parts(
      count, plan_.size(), [this] { halve(); },
      [&](int64_t first, int64_t size) {
        parts.push_back(loss_gradient(model_, images.slice(0, first, first + size),
                                      part_of(labels, first, size)));
      });
  return parts.size() == 1 ? parts.front() : at::cat(parts);
}

}  // namespace tarflow
