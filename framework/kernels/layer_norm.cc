#include "framework/kernels/layer_norm.h"

#include <ATen/ATen.h>

namespace tarflow::kernels {

at::Tensor layer_norm(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias) {
  const auto [normed, mean, inverse] =
      at::native_layer_norm(h, {h.size(-1)}, weight, bias, /*eps=*/1e-5);
  // The inverse deviation of an infinite variance is zero.
  const at::Tensor finite =
      at::isfinite(mean).logical_and_(at::isfinite(inverse)).logical_and_(inverse.ne(0));
  // The short way is for CPUs only: on a GPU the test would wait for the device.
  if (h.is_cpu() && finite.all().item<bool>()) return normed;
  return at::where(finite, normed, bias);
}

}  // namespace tarflow::kernels
