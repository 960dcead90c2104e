// What evaluate and sample share: the settings of a sampling run, and images chunk by chunk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/worker/guesses.h"
#include "experiments/worker/job_context.h"
#include "experiments/worker/nonfinite.h"
#include "experiments/worker/settings.h"
#include "framework/dist/pack.h"
#include "framework/sampling/batch_sampler.h"

namespace tarflow::experiments {

// How an experiment takes its strategies.
enum class StrategyField {
  kOwn,     // a job has one
  kShared,  // points that differ in it run as one job
  kNone,    // there is none
};

struct SamplingSettings {
  std::string model;
  Strategy strategy;  // as stated: guesses may be open
  GuessSettings guesses;
  double cfg = 0;
  double attn_temp = 1;
  int64_t seed = 0;
  int64_t num_images = 64;
  int64_t chunk = 64;
  std::vector<int64_t> labels;  // repeated over the images; empty: uniform by index
  std::string device = "auto";
  std::string compute_type = "auto";
  double memory_limit = 0;  // GB; 0: what the device has free
  std::string nonfinite = "fail";

  void bind(Binder& binder, StrategyField strategies = StrategyField::kOwn);
  SampleOptions options() const;  // with the strategy as stated
};

// The options of a job, with each guess and each method that the strategy leaves open chosen and
// recorded (chosen_strategy, tuned_strategy) and the calibration that it needs; to be called once,
// before anything is timed.
SampleOptions sample_options(JobContext& context, const SamplingSettings& settings,
                             const Model& model, bool self_denoising);

// Images [first, first + count) of a run.
struct Chunk {
  int64_t index = 0;
  int64_t first = 0, count = 0;
};
std::vector<Chunk> chunks_of(int64_t num_images, int64_t chunk);

// The labels of images by index; none for an unconditional model. Uniform, or those of the settings
// one after another, image i having the (i mod n)-th. Throws Error for one that is no class.
Labels labels_of(const Model& model, const SamplingSettings& settings, const Chunk& chunk);
Labels labels_of(const Model& model, uint64_t seed, const Chunk& chunk);  // uniform
at::Tensor noise_of(const Model& model, uint64_t seed, const Chunk& chunk);

// Samples chunks, in parts where one does not fit into memory. The log tells what it plans.
using ChunkSampler = BatchSampler;
BatchOptions batch_options(JobContext& context, const SamplingSettings& settings,
                           bool self_denoising);
BatchOptions batch_options(JobContext& context, double memory_limit, bool self_denoising);
void bind_memory_limit(Binder& binder, double& limit);  // GB; 0: what the device has free

// Work done so far, in checkpoint order of the blocks.
class WorkTotals {
 public:
  void add(const SampleResult& result, int64_t images);
  double block_passes() const;             // a mean over images
  double flops() const { return flops_; }  // of all images (BlockWork::cost)
  // Images at once: of the most divided chunk, or of the largest one where none was divided.
  int64_t micro_batch() const { return divided_ > 0 ? divided_ : whole_; }
  // sampling/iterations, sampling/passes and, where a stop measured them, sampling/residuals.
  void add_arrays(JobContext& context) const;

  // What another value holds, as if its chunks had been added after this one's.
  void append(const WorkTotals& later);
  // All of it as tensors, for the way to another rank, and back. Throws Error when they are not of
  // such a value.
  dist::Tensors tensors() const;
  static WorkTotals from(const dist::Tensors& tensors);

  // All of it as arrays below `work/`, and back. Throws Error when they are not of such a value.
  std::vector<record::Array> state() const;
  void restore(const ArrayMap& arrays);

 private:
  int64_t images_ = 0;
  int64_t whole_ = 0,
          divided_ = 0;  // images at once, of chunks that were not divided and that were
  double passes_ = 0, flops_ = 0;
  std::vector<double> block_passes_;  // by block, summed over images
  void count_at_once(int64_t whole, int64_t divided);

  std::vector<std::vector<double>> residuals_;    // of the first chunk, by block
  std::vector<std::vector<int64_t>> iterations_;  // a chunk: summed over segments, by block
};

// The classes of the images that a record holds, one each; nothing for an unconditional model.
void add_labels(JobContext& context, const Labels& labels);
ArrayInfo labels_array();

// What add_arrays writes, and the columns that every sampling job has.
std::vector<ArrayInfo> work_arrays();
std::vector<Column> work_columns();
// Their cells.
void report_work(JobContext& context, const Model& model, const WorkTotals& work,
                 double sampling_seconds);

}  // namespace tarflow::experiments
