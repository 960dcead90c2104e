#include "framework/kernels/linear.h"

#include <ATen/ATen.h>

#include "framework/kernels/bias_gelu.h"

namespace tarflow::kernels {

at::Tensor linear(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  return at::addmm(bias, rows, weight.t());
}

at::Tensor product(const at::Tensor& rows, const at::Tensor& weight) {
  return at::mm(rows, weight.t());
}

void product_into(at::Tensor out, const at::Tensor& rows, const at::Tensor& weight) {
  at::mm_out(out, rows, weight.t());
}

void add_product(const at::Tensor& h, const at::Tensor& rows, const at::Tensor& weight) {
  at::Tensor out = h;
  if (rows.scalar_type() == at::kFloat) {
    at::addmm_out(out, h, rows, weight.t());
  } else if (h.is_cuda()) {
    at::addmm_out(out, h, rows, weight.t(), /*out_dtype=*/at::kFloat);
  } else {
    out.add_(product(rows, weight));
  }
}

at::Tensor linear_gelu(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  if (rows.is_cuda() && rows.scalar_type() == at::kBFloat16) {
    return at::_addmm_activation(bias, rows, weight.t(), 1, 1, /*use_gelu=*/true);
  }
  const at::Tensor wide = product(rows, weight);
  bias_gelu(wide, bias);
  return wide;
}

at::Tensor linear_relu(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  return at::_addmm_activation(bias, rows, weight.t());
}

void copy_all(const std::vector<at::Tensor>& to, const std::vector<at::Tensor>& from) {
  at::_foreach_copy_(to, from);
}

void add_all(const std::vector<at::Tensor>& to, const std::vector<at::Tensor>& from) {
  at::_foreach_add_(to, from);
}

}  // namespace tarflow::kernels
