#include "framework/kernels/stream_norm.h"

#include <ATen/ATen.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

StreamNormOutputs stream_norm_cpu(const StreamNorm& work) {
  const at::Tensor sum = work.added.defined() ? work.h + work.added : work.h;
  const auto [normed, mean, inverse] =
      at::native_layer_norm(sum, {sum.size(-1)}, work.weight, work.bias, /*eps=*/1e-5);
  return {sum, normed.to(work.type), mean, inverse};
}

StreamNormGradients stream_norm_backward_cpu(const StreamNormBackward& work) {
  const int64_t channels = work.sum.size(-1);
  const at::ScalarType exact = work.sum.scalar_type(), type = work.normed.scalar_type();
  const auto [of_sum, of_weight, of_bias] =
      at::native_layer_norm_backward(work.normed.to(exact), work.sum, {channels}, work.mean,
                                     work.inverse, work.weight, work.bias, {true, true, true});
  StreamNormGradients result{
      work.past.defined() ? work.past + of_sum : of_sum, {}, of_weight, of_bias, {}};
  if (work.added) {
    result.added = result.h.to(type);
    result.added_bias = result.added.reshape({-1, channels}).sum(0);
  }
  return result;
}

#ifndef TARFLOW_USE_CUDA
StreamNormOutputs stream_norm_cuda(const StreamNorm&) { no_cuda_kernels(); }
StreamNormGradients stream_norm_backward_cuda(const StreamNormBackward&) { no_cuda_kernels(); }
#endif

StreamNormOutputs stream_norm(const StreamNorm& work) {
  return work.h.is_cpu() ? stream_norm_cpu(work) : stream_norm_cuda(work);
}

StreamNormGradients stream_norm_backward(const StreamNormBackward& work) {
  return work.sum.is_cpu() ? stream_norm_backward_cpu(work) : stream_norm_backward_cuda(work);
}

}  // namespace tarflow::kernels
