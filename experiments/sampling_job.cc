#include "experiments/sampling_job.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "framework/tensor/noise.h"

namespace tarflow::experiments {

void SamplingSettings::bind(Binder& binder) {
  binder.model(model, {.name = "model",
                       .description = "A name under `models:`.",
                       .required = true,
                       .example = "afhq"});
  binder.strategy(
      strategy,
      {.name = "strategy",
       .description = "How the blocks are inverted: a published name such as [7-8-32-10] or For, "
                      "the three published lists, or a map of blocks.",
       .required = true,
       .example = "[7-8-32-10]"});
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
  binder.integer(
      chunk,
      {.name = "chunk",
       .description = "Images that are sampled together and share a stop; fixed by image index.",
       .minimum = 1});
  bind_device(binder, device, compute_type);
}

SampleOptions SamplingSettings::options() const {
  SampleOptions options;
  options.strategy = strategy;
  options.guidance = {cfg, attn_temp};
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

at::Tensor noise_of(const Model& model, uint64_t seed, const Chunk& chunk) {
  return normal_noise(seed, chunk.first, chunk.count, model.shape.tokens(),
                      model.shape.token_width(), model.device);
}

void ChunkSampler::prepare(int64_t images) {
  if (sampler_ && sampler_->images() == images) return;
  sampler_.reset();  // its memory first
  sampler_.emplace(model_, images, options_);
}

SampleResult ChunkSampler::sample(const at::Tensor& noise, const Labels& labels) {
  prepare(noise.size(0));
  return sampler_->sample(noise, labels);
}

void WorkTotals::add(const SampleResult& result, int64_t images) {
  if (first_chunk_.empty()) first_chunk_ = result.work;
  std::vector<int64_t> iterations;
  for (const BlockWork& work : result.work) {
    iterations.push_back(
        std::accumulate(work.iterations.begin(), work.iterations.end(), int64_t{0}));
  }
  iterations_.push_back(std::move(iterations));
  passes_ += result.block_passes * static_cast<double>(images);
  images_ += images;
}

double WorkTotals::block_passes() const {
  return images_ ? passes_ / static_cast<double>(images_) : 0;
}

void WorkTotals::add_arrays(JobContext& context) const {
  const int64_t blocks = static_cast<int64_t>(first_chunk_.size());
  std::vector<int64_t> iterations;
  for (const auto& chunk : iterations_)
    iterations.insert(iterations.end(), chunk.begin(), chunk.end());
  context.add(record::make_array(
      "sampling/iterations", {static_cast<int64_t>(iterations_.size()), blocks}, iterations, "",
      "Jacobi iterations (single steps when sequential), summed over segments; chunk, "
      "block in checkpoint order"));
  for (const BlockWork& work : first_chunk_) {
    if (work.residuals.empty()) continue;
    context.add(record::make_array(
        "sampling/residuals/block_" + std::to_string(work.block),
        {static_cast<int64_t>(work.residuals.size())}, work.residuals, "",
        "||x' - x||_2 / (N D) of the first chunk, iteration after iteration, segment after "
        "segment"));
  }
}

}  // namespace tarflow::experiments
