#include "framework/kernels/adamw.h"

#include <ATen/ATen.h>

#include <optional>

namespace tarflow::kernels {

void adamw(const AdamWUpdate& update) {
  at::_fused_adamw_({update.parameters}, {update.gradient}, {update.mean}, {update.square}, {},
                    {update.number}, update.rate, update.beta1, update.beta2, update.weight_decay,
                    update.epsilon, /*amsgrad=*/false, /*maximize=*/false,
                    update.divisor.defined() ? std::optional(update.divisor) : std::nullopt);
}

}  // namespace tarflow::kernels
