#include "framework/kernels/guided_update.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "framework/kernels/position.h"
#include "framework/kernels/vector_math.h"

namespace tarflow::kernels {

void guided_update_cpu(const GuidedUpdate& update) {
  if (raised(update.stopped)) return;
  const int64_t first = Position{update.first, update.counter}.token();
  const VectorMath& math = vector_math();
  const int64_t images = update.x.size(0), tokens = update.x.size(1), width = update.x.size(2);
  const at::Tensor outputs = update.outputs.to(at::kFloat).contiguous();
  const int64_t n = outputs.size(1);
  const bool guided = outputs.size(0) == 2 * images;
  const float* const all = outputs.const_data_ptr<float>();
  const float* const z = update.z.const_data_ptr<float>();
  float* const x = update.x.mutable_data_ptr<float>();
  double* const change =
      update.change.defined() ? update.change.mutable_data_ptr<double>() : nullptr;
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) {
        const int64_t token = first + 1 + i, at = (image * tokens + token) * width;
        const float* conditional = all + (image * n + i) * 2 * width;
        const float* unconditional =
            guided ? all + ((images + image) * n + i) * 2 * width : nullptr;
        const double weight =
            update.cfg * static_cast<double>(token) / static_cast<double>(tokens - 1);
        squares += math.update_token(conditional, unconditional, static_cast<float>(weight), z + at,
                                     static_cast<float>(update.clamp), x + at, width);
      }
      if (change) change[image] += squares;
    }
  });
}

#ifndef TARFLOW_USE_CUDA
void guided_update_cuda(const GuidedUpdate&) { no_cuda_kernels(); }
#endif

void guided_update(const GuidedUpdate& update) {
  if (update.x.is_cpu()) return guided_update_cpu(update);
  return guided_update_cuda(update);
}

}  // namespace tarflow::kernels
