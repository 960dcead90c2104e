// A place of the residual stream in training (method.md section 8): the output of a branch is added
// to the stream, and LayerNorm of the sum, cast to the compute type, is the next branch's input.
// One pass over the rows forward and one backward; without gradients, residual_norm.h does more.
//
// Roundings are those of the composed operations (h + added; layer_norm; to(type); their
// gradients): the sum, its gradient and LayerNorm in fp32, `normed` and the gradient of `added`
// rounded to the compute type once. On a CPU the bits are the same as well. On a GPU the sums
// within a row and over the rows are fp32 sums as in LibTorch's kernels, in another order.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tarflow::kernels {

// C: a multiple of 4, at most kMostStreamChannels on a GPU. Rows: all other dimensions. Tensors are
// contiguous, on a GPU aligned to 16 bytes. fp32 stands for the type of h: a CPU also takes double.
inline constexpr int64_t kMostStreamChannels = 8192;

struct StreamNorm {
  at::Tensor h;             // (rows, C) fp32
  at::Tensor added;         // (rows, C) `type`, or undefined
  at::Tensor weight, bias;  // (C) fp32
  at::ScalarType type = at::kFloat;
};
struct StreamNormOutputs {
  at::Tensor sum;            // (rows, C) fp32: h + added; h itself if nothing is added
  at::Tensor normed;         // (rows, C) `type`: LayerNorm(sum), eps 1e-5
  at::Tensor mean, inverse;  // rows elements, fp32: of each row, and 1 / sqrt(variance + eps)
};
// A row that is not finite stays so, unlike in layer_norm.h: a training skips such a step.
StreamNormOutputs stream_norm(const StreamNorm& work);
StreamNormOutputs stream_norm_cpu(const StreamNorm& work);
StreamNormOutputs stream_norm_cuda(const StreamNorm& work);

struct StreamNormBackward {
  at::Tensor sum, mean, inverse;  // as stream_norm() gave them
  at::Tensor weight, bias;        // (C) fp32
  at::Tensor normed;              // gradient of `normed`, (rows, C) `type`
  at::Tensor past;     // gradient of `sum` from all that comes after, (rows, C) fp32; undefined: 0
  bool added = false;  // whether there was something to add
};
struct StreamNormGradients {
  at::Tensor h;             // (rows, C) fp32: past + that of LayerNorm
  at::Tensor added;         // (rows, C) `type`: h, cast; undefined if nothing was added
  at::Tensor weight, bias;  // (C) fp32
  // (C) `type`: the sum of `added` over the rows, which is the gradient of the bias of the linear
  // layer that made `added`. Undefined like it.
  at::Tensor added_bias;
};
// Sums over rows have a fixed order, so that the same build on the same device gives the same bits.
StreamNormGradients stream_norm_backward(const StreamNormBackward& work);
StreamNormGradients stream_norm_backward_cpu(const StreamNormBackward& work);
StreamNormGradients stream_norm_backward_cuda(const StreamNormBackward& work);

}  // namespace tarflow::kernels
