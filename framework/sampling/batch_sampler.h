// Sampling of batches of any size. A batch that does not fit into the device's memory is sampled in
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
  // Whether gradient() will be called as well.
  bool self_denoising = false;
  // Bytes that a batch may take beside the weights. Without a value: nine tenths of a GPU's free
  // memory, and no limit on a CPU.
  std::optional<int64_t> memory_limit = {};
  // Called with a line for the user: the memory plan, and each division of a batch.
  std::function<void(const std::string&)> say = {};
};

// How many of `images` a batch by this strategy works on at once: all, or as many as halving them
// again and again leaves. Asks a GPU what it has free unless the options state a limit.
int64_t images_that_fit(const Model& model, int64_t images, const Guidance& guidance,
                        const Strategy& strategy, const BatchOptions& batch);

// Decides the number of images that are sampled at once. Each strategy has its own memory plan,
// because the longest evaluation differs: one token in a sequential block, all tokens in Jacobi.
class BatchPlan {
 public:
  // Keeps a reference to the model.
  BatchPlan(const Model& model, Guidance guidance, BatchOptions batch);

  // Selects the plan for batches of this size by this strategy, and makes it if there is none. A
  // plan for more images of the same strategy serves too. `release` is called before the free
  // memory is measured: it frees the memory that the caller holds for other plans.
  void use(int64_t images, const Strategy& strategy, const std::function<void()>& release);
  bool in_use(int64_t images) const {
    return !planned_.empty() && planned_[current_].images == images;
  }

  const int64_t& size() const { return size_; }  // images at once, at most
  // Halves the size after an out-of-memory error. The caller has freed its memory.
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

// If a batch is divided, stops over the chunk act inside each part. Their thresholds are chosen so
// that the residual of the whole batch is not larger than stated. A window has one front per part.
// So the division changes an image by rounding and by less than the stop or the window's tolerance.
// Without a division nothing changes.
class BatchSampler {
 public:
  // Keeps a reference to the model.
  BatchSampler(const Model& model, SampleOptions options, BatchOptions batch = {});

  // Plans batches of this size and allocates their memory, unless that is done. sample() does the
  // same; a caller that measures times calls prepare() before.
  void prepare(int64_t images);
  // Frees the memory of the evaluator. The next call allocates it again.
  void release() { sampler_.reset(); }
  // As Sampler::sample, for any number of images. Without `strategy` the strategy of the options
  // runs. The memory is planned for the strategy that runs.
  SampleResult sample(const at::Tensor& noise, const Labels& labels);
  SampleResult sample(const at::Tensor& noise, const Labels& labels, const Strategy& strategy);
  // loss_gradient of a batch of any size.
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

// Calls `work(first, count)` for successive parts of `images`, each of at most `size` images. If a
// part runs out of memory, `halve` is called, which must make `size` smaller, and the part is tried
// again. Throws c10::OutOfMemoryError if a single image does not fit.
void in_parts(int64_t images, const int64_t& size, const std::function<void()>& halve,
              const std::function<void(int64_t first, int64_t count)>& work);

// Labels [first, first + count); no labels if `labels` is empty.
Labels part_of(const Labels& labels, int64_t first, int64_t count);

// The strategy for `part` of `whole` images. A published stop over the chunk gets the threshold
// that keeps the residual of the whole batch below the stated one. The other norms need no change.
Strategy for_part(const Strategy& strategy, int64_t part, int64_t whole);

// The result of all parts, which have these sizes and this order. Iterations, fronts and kinds are
// those of the part with the most; a part that stopped earlier did not change after its stop.
SampleResult joined(const std::vector<SampleResult>& parts, const std::vector<int64_t>& sizes);

}  // namespace tarflow
