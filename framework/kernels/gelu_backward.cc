#include "framework/kernels/gelu_backward.h"

#include <ATen/ATen.h>

#include "framework/kernels/position.h"

namespace tarflow::kernels {

GeluGradients gelu_backward_cpu(const GeluBackward& work) {
  const at::Tensor inputs = at::gelu_backward(work.gradient, work.inputs);
  return {inputs, inputs.reshape({-1, inputs.size(-1)}).sum(0)};
}

#ifndef TARFLOW_USE_CUDA
GeluGradients gelu_backward_cuda(const GeluBackward&) { no_cuda_kernels(); }
#endif

GeluGradients gelu_backward(const GeluBackward& work) {
  return work.inputs.is_cpu() ? gelu_backward_cpu(work) : gelu_backward_cuda(work);
}

}  // namespace tarflow::kernels
