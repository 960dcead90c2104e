// Batches of any size on a device of any size: a batch that does not fit into memory is sampled in
// parts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
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

// Where a batch is divided, batch-wide stops act inside the parts, with thresholds that let the
// batch's residual be no larger than asked for. So an image depends on the division by rounding and
// by changes below the stop; where all fits into memory, not at all.
class BatchSampler {
 public:
  // Keeps a reference to the model.
  BatchSampler(const Model& model, SampleOptions options, BatchOptions batch = {});

  // Plans for batches of this size and allocates what they need, unless that is done; apart from
  // sample() so that timings can leave it out.
  void prepare(int64_t images);
  // As Sampler::sample, for any number of images; by another strategy than the options' if one is
  // given.
  SampleResult sample(const at::Tensor& noise, const Labels& labels);
  SampleResult sample(const at::Tensor& noise, const Labels& labels, const Strategy& strategy);
  // loss_gradient of such a batch.
  at::Tensor gradient(const at::Tensor& images, const Labels& labels);

  int64_t micro_batch() const { return micro_batch_; }  // images at once, at most

 private:
  void plan(int64_t images);
  void make_sampler(int64_t images);
  void halve();

  const Model& model_;
  const SampleOptions options_;
  const BatchOptions batch_;
  std::optional<Sampler> sampler_;
  int64_t planned_ = 0;  // images of the batches that micro_batch_ was chosen for
  int64_t micro_batch_ = 0;
};

// Calls `work(first, count)` for successive parts of `images`, `size` each; where it runs out of
// memory `halve` is called, which makes `size` smaller, and the part is tried again. The error is
// passed on when a single image does not fit.
void in_parts(int64_t images, const int64_t& size, const std::function<void()>& halve,
              const std::function<void(int64_t first, int64_t count)>& work);

// The strategy for `part` of `whole` images: of stops that look at the mean over a batch, each
// part's share of what the whole may still change.
Strategy for_part(const Strategy& strategy, int64_t part, int64_t whole);

// What the parts, of these sizes and in this order, are together. Iterations are those of the part
// that took the most; a part that stopped earlier changed no more.
SampleResult joined(const std::vector<SampleResult>& parts, const std::vector<int64_t>& sizes);

}  // namespace tarflow
