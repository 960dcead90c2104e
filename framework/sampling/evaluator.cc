#include "framework/sampling/evaluator.h"

#include <ATen/ATen.h>

namespace tarflow {

void Evaluator::advance(const kernels::GuidedUpdate& update, int64_t last) {
  kernels::GuidedUpdate whole = update;
  whole.outputs = evaluate(update.x, update.first, last);
  kernels::guided_update(whole);
}

Iterate& Evaluator::iterate_from(const at::Tensor& z) {
  if (!iterate_.z.defined() || iterate_.z.sizes() != z.sizes()) {
    const auto flag = z.options().dtype(at::kInt);
    iterate_ = {at::empty(z.sizes(), z.options()), at::empty(z.sizes(), z.options()),
                at::empty({z.size(0)}, z.options().dtype(at::kDouble)), at::empty({1}, flag),
                at::empty({1}, flag)};
  }
  iterate_.z.copy_(z);
  return iterate_;
}

std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t images,
                                          const Guidance& guidance) {
  if (model.device.is_cuda() && can_fuse(model)) {
    return make_fused_evaluator(model, images, guidance);
  }
  const bool cpu_float = model.device.is_cpu() && model.compute == ComputeType::kFloat32;
  return cpu_float ? make_cpu_evaluator(model, images, guidance)
                   : make_tensor_evaluator(model, images, guidance);
}

}  // namespace tarflow
