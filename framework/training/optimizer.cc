#include "framework/training/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <optional>

#include "framework/kernels/adamw.h"

namespace tarflow::training {

OptimizerState initial_state(const at::Tensor& row) {
  return {at::zeros_like(row), at::zeros_like(row), 0};
}

void update(const AdamW& settings, double rate, const at::Tensor& row, const at::Tensor& gradient,
            const at::Tensor& divisor, OptimizerState& state) {
  const c10::NoGradGuard no_grad;
  const at::Tensor number = at::full({}, static_cast<double>(++state.updates), row.options());
  kernels::adamw({row, gradient, state.mean, state.square, number, divisor, rate, settings.beta1,
                  settings.beta2, settings.weight_decay, settings.epsilon});
}

at::Tensor norm_of(const ParameterLayout& layout, const at::Tensor& row) {
  at::Tensor squares = at::zeros({}, row.options().dtype(at::kDouble));
  for (int b = 0; b < layout.shape().blocks; ++b) {
    const at::Tensor norm =
        at::linalg_vector_norm(layout.part(row, b), 2, std::nullopt, false, at::kDouble);
    squares += norm.square();
  }
  return squares.sqrt();
}

at::Tensor clip_divisor(const at::Tensor& norm, double largest) {
  return ((norm + 1e-6) / largest).clamp_min(1).to(at::kFloat);
}

void follow(const at::Tensor& average, const at::Tensor& row, double decay) {
  const c10::NoGradGuard no_grad;
  at::Tensor to = average;
  to.lerp_(row, 1 - decay);
}

}  // namespace tarflow::training
