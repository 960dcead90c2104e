// The loss of a batch and its gradient in all weights, block by block (method.md section 8).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/model/forward.h"
#include "framework/tensor/memory.h"
#include "framework/training/fused_block.h"
#include "framework/training/parameters.h"

namespace tarflow::training {

// One block as the published autocast computes it. Differentiable.
struct BlockPass {
  at::Tensor z;       // (N, T, D) float32 in the block's token order
  at::Tensor logdet;  // (N) compute type
};
// x: (N, T, D) float32 in the block's token order. `shell`: shape, device and compute type; its
// blocks are not looked at. Linear weights of the block are of the compute type.
BlockPass block_pass(const Model& shell, const BlockWeights& block, const at::Tensor& x,
                     const Labels& labels, LayerKernels kernels = LayerKernels::kComposed);

// What a pass found, on its device.
struct PassResult {
  // float64 (2 + K): sums over the images of 0.5 mean(z^2), of logdet, and of mean(z^2) after each
  // block, in checkpoint order.
  at::Tensor sums;
  at::Tensor z;             // (N, T, D), in image token order
  int64_t block_bytes = 0;  // that one block's activations took; with PassInput::measure
  int64_t peak_bytes = 0;   // the most that the pass took, likewise
};

struct PassInput {
  at::Tensor images;  // (N, colours, H, H), noise added
  Labels labels;      // N, or empty: the mean over classes
  double weight = 1;  // of each image's loss in the gradient
  // Blocks before the last whose activations stay in memory until they are differentiated. Those of
  // the others are computed again, with the same bits.
  int kept = 0;
  bool measure = false;  // memory; costs nothing that is felt
};

class Pass {
 public:
  // Keeps references. `weights`: the row in the compute type (of linear layers; the others are read
  // from `row`). `gradient`: a float32 row.
  Pass(const ParameterLayout& layout, ComputeType compute, const at::Tensor& row,
       const at::Tensor& rounded, const at::Tensor& gradient,
       LayerKernels kernels = LayerKernels::kComposed);

  // Writes weight * d(sum of losses)/d(parameters) into the gradient, or adds it to what is there.
  // The activations of one block, and of those that `kept` says, are in memory at a time.
  // `finished` hears of each block whose gradient is complete, from the last block to the first.
  PassResult run(const PassInput& input, bool add, const std::function<void(int block)>& finished);

 private:
  struct Leaves {
    std::vector<at::Tensor> tensors;  // in the order of ParameterLayout::of_block
    BlockWeights block;               // made of them
  };
  // A block as it was computed, to be differentiated; its input alone where it is computed again.
  struct Recorded {
    Leaves own;
    at::Tensor input;
    BlockPass pass;
  };
  Leaves leaves(int block, bool differentiable) const;
  Recorded recorded(int block, const at::Tensor& input, const Labels& labels) const;
  // Fills `way_` and the sums; z after the last block.
  at::Tensor forward(const PassInput& input, const MemoryMeter* meter, PassResult& result);
  void keep(int block, const std::vector<at::Tensor>& gradients, bool add);

  const ParameterLayout& layout_;
  Model shell_;
  const at::Tensor row_, rounded_, gradient_;
  const LayerKernels kernels_;
  std::vector<Recorded> way_;  // of each block, from the first on
};

}  // namespace tarflow::training
