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
  double cfg = 0;        // <= 0: the conditional pass alone
  double attn_temp = 1;  // the unconditional pass attends at scale 1 / (8 attn_temp)

  // The unconditional pass is needed: an unconditional model at temperature 1 has u = c.
  bool doubled(const ModelShape& shape) const {
    return cfg > 0 && (shape.classes > 0 || attn_temp != 1);
  }
};

// The passes of an evaluation where there is guidance; elsewhere there is one pass.
enum class Passes { kBoth, kConditional };

// One evaluation: what is evaluated, and what it is a part of.
struct Step {
  kernels::Position place;        // the first input, by number or by a count on the device
  int64_t width = 0;              // inputs
  Passes passes = Passes::kBoth;  // the cache of a pass left out stays as it is
  bool cached = true;             // keys and values are left in the cache for later evaluations
  at::Tensor stopped = {};        // (N) int32 or undefined: the cache of a raised image stays
                                  // as it is, and its outputs mean nothing
  int segment = 0;                // index; 0 where there are none
  Segment range = {};             // all inputs of that segment
  int iteration = 0;              // of this segment, from 1; 0: not an iteration
};

// xa then xc, unshifted: row i serves token place + i + 1. Valid until the next evaluation.
struct Outputs {
  at::Tensor conditional;    // (N, width, 2D), fp32 or the compute type
  at::Tensor unconditional;  // likewise; undefined without guidance and for Passes::kConditional
};

// Takes up to `capacity` images; each block's inversion has some number N of them. Their rows are
// N conditional ones, and with guidance N unconditional ones after them, in one batch. The cache
// holds keys and values of all L layers for all T tokens and is written in place.
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

  // Turns to a block (checkpoint index) of N images; the cache becomes empty. `labels` has N
  // entries, or one that all images have, or none: the mean class. Throws Error for another number
  // and for more images than the capacity.
  void begin(int block, const Labels& labels, int64_t images);

  // Reads the step's tokens of x (N, T, D), fp32 in the block's token order, over the cached keys
  // and values of the tokens before them. Throws Error for other than N images.
  Outputs evaluate(const at::Tensor& x, const Step& step);

  // The state of the inversions by this evaluator.
  Workspace& workspace() { return workspace_; }

  // How many iterations may be given to the device before the stop of an earlier one is known: once
  // an image's flag is raised, neither it nor its cache changes.
  virtual int stop_lag() const { return 0; }

  // Evaluating tokens whose inputs did not change again gives what the cache holds; worth leaving
  // out of a range of `tokens` where a segment over a prefix costs no more than a full pass.
  virtual bool skips_final_tokens(int64_t tokens) const = 0;

  // Whether a step of `width` inputs is worth recording as a graph. It must not wait for the
  // device.
  virtual bool records(int64_t) const { return false; }

 protected:
  // Rows of a batch of the capacity, of the block at hand, and of a step in it.
  int64_t most_rows() const { return guided() ? 2 * capacity_ : capacity_; }
  int64_t rows() const { return guided() ? 2 * images_ : images_; }
  int64_t rows(const Step& step) const { return step.passes == Passes::kBoth ? rows() : images_; }

  const Model& model_;
  int64_t images_ = 0;  // N of the block at hand

 private:
  // Of begin(), with N labels or none; images() is N.
  virtual void turn_to(int block, const Labels& labels) = 0;
  // The outputs of the rows that the step's passes have, (rows, width, 2D).
  virtual at::Tensor outputs_of(const at::Tensor& x, const Step& step) = 0;

  const int64_t capacity_;
  const Guidance guidance_;
  Workspace workspace_;
};

// Bytes that an evaluator takes, told by the code that allocates them.
struct EvaluatorBytes {
  int64_t packed = 0;       // weights in a form of its own, beside the model's
  int64_t cache = 0;        // keys and values of one block's layers
  int64_t activations = 0;  // of an evaluation of `longest` inputs of all rows, outputs included
};
// Of the evaluator that make_evaluator makes, without making it. `longest` is at least 1.
EvaluatorBytes evaluator_bytes(const Model& model, int64_t capacity, const Guidance& guidance,
                               int64_t longest);

// Elements of the keys and values of `rows` sequences, of all T tokens and L layers.
inline int64_t cache_elements(const ModelShape& shape, int64_t rows) {
  return int64_t{2} * shape.layers * rows * shape.tokens() * shape.channels;
}
inline int64_t rows_of(const ModelShape& shape, int64_t images, const Guidance& guidance) {
  return guidance.doubled(shape) ? 2 * images : images;
}

// The fastest evaluator for the model's device and compute type.
std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t capacity,
                                          const Guidance& guidance);

// The evaluator of plain LibTorch operations, for any device and compute type: in production for
// bfloat16 on CPUs and for models that the fused one does not take, in tests the reference.
std::unique_ptr<Evaluator> make_tensor_evaluator(const Model& model, int64_t capacity,
                                                 const Guidance& guidance);
EvaluatorBytes tensor_bytes(const Model& model, int64_t rows, int64_t longest);
// The evaluator of fused kernels and CUDA graphs, for GPUs; on CPUs it serves to test it. Throws
// std::logic_error for a model that does not fit it.
bool can_fuse(const Model& model);
std::unique_ptr<Evaluator> make_fused_evaluator(const Model& model, int64_t capacity,
                                                const Guidance& guidance,
                                                std::optional<int> stop_lag = {});
EvaluatorBytes fused_bytes(const Model& model, int64_t rows, int64_t longest);
// The evaluator for CPUs in fp32. Throws std::logic_error for another model.
std::unique_ptr<Evaluator> make_cpu_evaluator(const Model& model, int64_t capacity,
                                              const Guidance& guidance);
EvaluatorBytes cpu_bytes(const Model& model, int64_t rows, int64_t longest);

}  // namespace tarflow
