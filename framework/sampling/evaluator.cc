#include "framework/sampling/evaluator.h"

namespace tarflow {

std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t images,
                                          const Guidance& guidance) {
  const bool cpu_float = model.device.is_cpu() && model.compute == ComputeType::kFloat32;
  return cpu_float ? make_cpu_evaluator(model, images, guidance)
                   : make_tensor_evaluator(model, images, guidance);
}

}  // namespace tarflow
