// Evaluation of one block's transformer on a range of tokens over a key-value cache.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "framework/kernels/guided_update.h"
#include "framework/model/forward.h"
#include "framework/model/weights.h"

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

// What an inversion works on.
struct Iterate {
  at::Tensor z, x;           // (N, T, D) fp32 in the block's token order
  at::Tensor change;         // (N) float64: squares of x' - x of an iteration
  at::Tensor done, stopped;  // (1) int32, as in kernels::Residual
};

// N images; B = N passes, or 2N with guidance: rows 0..N-1 conditional, N..2N-1 unconditional, in
// one batch. The cache holds keys and values of all L layers, allocated once for all T tokens and
// written in place.
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  // Turns to a block (checkpoint index) with these labels; the cache becomes empty.
  virtual void begin(int block, const Labels& labels) = 0;

  // Reads tokens [first, last) of x (N, T, D), fp32 in the block's token order, over the cached
  // keys and values of [0, first), leaves their own in the cache, and returns the block's outputs
  // (B, last - first, 2D), fp32 or the compute type: xa then xc, unshifted (row t serves token t +
  // 1). Valid until the next call.
  virtual at::Tensor evaluate(const at::Tensor& x, int64_t first, int64_t last) = 0;

  // One iteration: evaluates tokens [update.first, last) of update.x and updates those after them.
  // The update comes without its outputs. Returns before the device has done it.
  virtual void advance(const kernels::GuidedUpdate& update, int64_t last);

  // How many iterations may be given to the device before the stop of an earlier one is known: once
  // `stopped` is raised, advance() changes neither x nor the cache.
  virtual int stop_lag() const { return 0; }

  // Tensors of z's shape with z copied in, x and the others not set: the same ones each time, so
  // that what an evaluator recorded of an iteration on them serves all blocks.
  Iterate& iterate_from(const at::Tensor& z);

  // Evaluating tokens whose inputs did not change again gives what the cache holds; worth leaving
  // out of a range of `tokens` where a segment over a prefix costs no more than a full pass.
  virtual bool skips_final_tokens(int64_t tokens) const = 0;

 private:
  Iterate iterate_;
};

// `images` at most are evaluated at once. The fastest evaluator for the model's device and compute
// type.
std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t images,
                                          const Guidance& guidance);

// The evaluator of plain LibTorch operations, for any device and compute type.
std::unique_ptr<Evaluator> make_tensor_evaluator(const Model& model, int64_t images,
                                                 const Guidance& guidance);
// The evaluator of fused kernels and CUDA graphs, for GPUs; on CPUs it serves to test it. Throws
// std::logic_error for a model that does not fit it.
bool can_fuse(const Model& model);
std::unique_ptr<Evaluator> make_fused_evaluator(const Model& model, int64_t images,
                                                const Guidance& guidance,
                                                std::optional<int> stop_lag = {});
// The evaluator for CPUs in fp32. Throws std::logic_error for another model.
std::unique_ptr<Evaluator> make_cpu_evaluator(const Model& model, int64_t images,
                                              const Guidance& guidance);

}  // namespace tarflow
