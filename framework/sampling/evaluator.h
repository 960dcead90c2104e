// Evaluation of one block's transformer on a range of tokens over a key-value cache.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "framework/core/strategy.h"
#include "framework/kernels/position.h"
#include "framework/model/forward.h"
#include "framework/model/weights.h"
#include "framework/sampling/workspace.h"

namespace tarflow {

// Classifier-free guidance of a sampling run (method.md section 2 "Guidance").
struct Guidance {
  double cfg = 0;        // <= 0: only the conditional pass
  double attn_temp = 1;  // the unconditional pass scales its scores by 1 / (8 attn_temp)

  // Whether the unconditional pass is needed. In an unconditional model with temperature 1 both
  // passes are equal.
  bool doubled(const ModelShape& shape) const {
    return cfg > 0 && (shape.classes > 0 || attn_temp != 1);
  }
};

// The passes of an evaluation with guidance. Without guidance there is one pass.
enum class Passes { kBoth, kConditional };

// One evaluation, and its place in the method of inversion.
struct Step {
  kernels::Position place;        // of the first input: a number, or a counter on the device
  int64_t width = 0;              // number of inputs
  Passes passes = Passes::kBoth;  // a pass that is left out keeps its cache
  bool cached = true;             // whether the cache keeps keys and values for later evaluations
  // (N) int32 or undefined. An image with a raised flag keeps its cache; its outputs have no
  // meaning.
  at::Tensor stopped = {};
  int segment = 0;     // index of the segment; 0 without segments
  Segment range = {};  // all inputs of that segment
  int iteration = 0;   // number of the iteration in the segment, from 1; 0: not an iteration
};

// xa, then xc, not shifted: row i belongs to token place + i + 1. Valid until the next evaluation.
struct Outputs {
  at::Tensor conditional;    // (N, width, 2D), fp32 or the compute type
  at::Tensor unconditional;  // the same; undefined without guidance and for Passes::kConditional
};

// An evaluator has memory for `capacity` images. The inversion of a block has N of them. A batch
// has N conditional rows, then, with guidance, N unconditional rows. The cache holds keys and
// values of all L layers and all T tokens. Evaluations write the cache in place.
class Evaluator {
 public:
  // Keeps a reference to the model.
  Evaluator(const Model& model, int64_t capacity, const Guidance& guidance);
  virtual ~Evaluator() = default;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  const Model& model() const { return model_; }
  int64_t capacity() const { return capacity_; }
  const Guidance& guidance() const { return guidance_; }
  bool guided() const { return guidance_.doubled(model_.shape); }
  int64_t images() const { return images_; }

  // Begins a block (checkpoint index) with N images. The cache becomes empty. `labels` has N
  // entries, one entry for all images, or no entry: the mean class. Throws Error for another number
  // of labels and for more images than the capacity.
  void begin(int block, const Labels& labels, int64_t images);

  // Evaluates the step's tokens of x (N, T, D) fp32, in the block's token order, over the cached
  // keys and values of the tokens before them. Throws Error if x has not N images.
  Outputs evaluate(const at::Tensor& x, const Step& step);

  // The state of the inversions that use this evaluator.
  Workspace& workspace() { return workspace_; }

  // The number of iterations that may be given to the device before the host knows whether an
  // earlier iteration stopped. Images and their caches do not change once their flag is raised.
  virtual int stop_lag() const { return 0; }

  // Whether a step of several inputs may lie at a place that only the device knows. A recorded step
  // of one input always may.
  virtual bool reads_place() const { return false; }
  // Before a block's first such step: the cache beyond a prefix holds finite numbers. `lost` (N)
  // int32 flags the images that were not finite in the block before, where that block had such steps.
  virtual void clean_cache(const at::Tensor& /*lost*/) {}

  // Whether a range of `tokens` leaves out its final tokens: those whose inputs did not change
  // since the last evaluation. The cache already holds their keys and values. Leaving them out pays
  // where an evaluation over a prefix costs no more per token than a full pass.
  virtual bool skips_final_tokens(int64_t tokens) const = 0;

  // Whether a step is recorded as a graph. Such a step must not wait for the device.
  virtual bool records(const Step&) const { return false; }

 protected:
  // Rows of a batch: of the capacity, of the current block, and of a step of the current block.
  int64_t most_rows() const { return guided() ? 2 * capacity_ : capacity_; }
  int64_t rows() const { return guided() ? 2 * images_ : images_; }
  int64_t rows(const Step& step) const { return step.passes == Passes::kBoth ? rows() : images_; }

  const Model& model_;
  int64_t images_ = 0;  // N of the current block

 private:
  // The part of begin() that depends on the evaluator. `labels` has N entries or none; images() is
  // N.
  virtual void turn_to(int block, const Labels& labels) = 0;
  // The outputs of all rows of the step's passes, (rows, width, 2D).
  virtual at::Tensor outputs_of(const at::Tensor& x, const Step& step) = 0;

  const int64_t capacity_;
  const Guidance guidance_;
  Workspace workspace_;
};

// Bytes that an evaluator takes. The file that allocates them computes them.
struct EvaluatorBytes {
  int64_t packed = 0;       // the evaluator's own copy of the weights
  int64_t cache = 0;        // keys and values of one block's layers
  int64_t activations = 0;  // of an evaluation of `longest` inputs of all rows, with the outputs
};
// The bytes of the evaluator that make_evaluator makes. `longest` must be at least 1.
EvaluatorBytes evaluator_bytes(const Model& model, int64_t capacity, const Guidance& guidance,
                               int64_t longest);

// Elements of the keys and values of `rows` sequences, for all T tokens and L layers.
inline int64_t cache_elements(const ModelShape& shape, int64_t rows) {
  return int64_t{2} * shape.layers * rows * shape.tokens() * shape.channels;
}
inline int64_t rows_of(const ModelShape& shape, int64_t images, const Guidance& guidance) {
  return guidance.doubled(shape) ? 2 * images : images;
}

// The fastest evaluator for the model's device and compute type.
std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t capacity,
                                          const Guidance& guidance);

// The evaluator of plain LibTorch operations, for any device and compute type. It serves bfloat16
// on CPUs and models that the fused evaluator refuses. Tests use it as the reference.
std::unique_ptr<Evaluator> make_tensor_evaluator(const Model& model, int64_t capacity,
                                                 const Guidance& guidance);
EvaluatorBytes tensor_bytes(const Model& model, int64_t rows, int64_t longest);
// The evaluator of fused kernels and CUDA graphs, for GPUs. Tests run it on CPUs too. Throws
// std::logic_error if can_fuse() is false.
bool can_fuse(const Model& model);
std::unique_ptr<Evaluator> make_fused_evaluator(const Model& model, int64_t capacity,
                                                const Guidance& guidance,
                                                std::optional<int> stop_lag = {});
EvaluatorBytes fused_bytes(const Model& model, int64_t rows, int64_t longest);
// The evaluator for fp32 on CPUs. Throws std::logic_error for another model.
std::unique_ptr<Evaluator> make_cpu_evaluator(const Model& model, int64_t capacity,
                                              const Guidance& guidance);
EvaluatorBytes cpu_bytes(const Model& model, int64_t rows, int64_t longest);

}  // namespace tarflow
