// Batches of any size on a device of any size: a batch that does not fit into memory is sampled in
// parts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/sampling/sampler.h"

namespace tarflow {

struct BatchOptions {
  // The images are differentiated as well, by gradient().
  bool self_denoising = false;
  // Bytes that a batch's work may take beside the weights; without it nine tenths of what a GPU has
  // free, and no limit on a CPU.
  std::optional<int64_t> memory_limit = {};
  // Is told the memory plan, and when a batch is divided.
  std::function<void(const std::string&)> say = {};
};

// How many images of a batch are worked on at once. Each strategy has its own memory plan, because
// the longest evaluation differs: one token of a sequential block, all tokens of Jacobi.
class BatchPlan {
 public:
  // Keeps a reference to the model.
  BatchPlan(const Model& model, Guidance guidance, BatchOptions batch);

  // Plans for batches of this size by this strategy, unless that is done; a strategy planned before
  // keeps its size. `release` is called before the free memory is measured: it frees what the
  // caller holds for other plans.
  void use(int64_t images, const Strategy& strategy, const std::function<void()>& release);
  bool in_use(int64_t images) const {
    return !planned_.empty() && planned_[current_].images == images;
  }

  const int64_t& size() const { return size_; }  // images at once, at most
  // After an out-of-memory, with the caller's memory freed.
  void halve();

 private:
  struct Planned {
    int64_t images = 0;
    std::vector<BlockPlan> blocks;
    int64_t size = 0;
  };

  Planned plan(int64_t images, const Strategy& strategy) const;

  const Model& model_;
  const Guidance guidance_;
  const BatchOptions batch_;
  std::vector<Planned> planned_;
  size_t current_ = 0;
  int64_t size_ = 0;
};

// Where a batch is divided, batch-wide stops act inside the parts, with thresholds that let the
// batch's residual be no larger than asked for; a window's front is that of the part. So an image
// depends on the division by rounding and by changes below the stop or the window's tolerance;
// where all fits into memory, not at all.
class BatchSampler {
 public:
  // Keeps a reference to the model.
  BatchSampler(const Model& model, SampleOptions options, BatchOptions batch = {});

  // Plans for batches of this size and allocates what they need, unless that is done; apart from
  // sample() so that timings can leave it out.
  void prepare(int64_t images);
  // Frees the memory of the evaluator; the next call allocates it again.
  void release() { sampler_.reset(); }
  // As Sampler::sample, for any number of images; by another strategy than the options' if one is
  // given. The memory is planned for the strategy that runs.
  SampleResult sample(const at::Tensor& noise, const Labels& labels);
  SampleResult sample(const at::Tensor& noise, const Labels& labels, const Strategy& strategy);
  // loss_gradient of such a batch.
  at::Tensor gradient(const at::Tensor& images, const Labels& labels);

  int64_t micro_batch() const { return plan_.size(); }  // images at once, at most

 private:
  // The part of a batch that is sampled now.
  struct Part {
    int64_t first = 0, count = 0, images = 0;
  };

  SampleOptions with_parts(SampleOptions options) const;
  void plan(int64_t images, const Strategy& strategy);
  void make_sampler(int64_t images);
  void halve();

  const Model& model_;
  const std::shared_ptr<Part> part_ = std::make_shared<Part>();
  const SampleOptions options_;  // whose on_progress is told of whole batches
  BatchPlan plan_;
  std::optional<Sampler> sampler_;
};

// Calls `work(first, count)` for successive parts of `images`, `size` each; where it runs out of
// memory `halve` is called, which makes `size` smaller, and the part is tried again. The error is
// passed on when a single image does not fit.
void in_parts(int64_t images, const int64_t& size, const std::function<void()>& halve,
              const std::function<void(int64_t first, int64_t count)>& work);

Labels part_of(const Labels& labels, int64_t first, int64_t count);  // none of none

// The strategy for `part` of `whole` images: of stops that look at the mean over a batch, each
// part's share of what the whole may still change.
Strategy for_part(const Strategy& strategy, int64_t part, int64_t whole);

// What the parts, of these sizes and in this order, are together. Iterations, fronts and kinds are
// those of the part that took the most; a part that stopped earlier changed no more.
SampleResult joined(const std::vector<SampleResult>& parts, const std::vector<int64_t>& sizes);

}  // namespace tarflow
