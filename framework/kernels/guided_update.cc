#include "framework/kernels/guided_update.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "framework/kernels/position.h"
#include "framework/kernels/vector_math.h"

namespace tarflow::kernels {
namespace {

// Writes the statistics of a token that changed from `before` to `after`. `squares`: the sum of its
// squared changes.
void measure(const float* before, const float* after, int64_t width, double squares, double* out) {
  double largest = 0, size = 0;
  for (int64_t d = 0; d < width; ++d) {
    const double moved = std::abs(static_cast<double>(after[d] - before[d]));
    largest = moved <= largest ? largest : moved;  // NaN stays NaN
    if (std::isnan(moved)) break;
  }
  for (int64_t d = 0; d < width; ++d) size += static_cast<double>(after[d]) * after[d];
  out[kSquares] = squares;
  out[kLargest] = largest;
  out[kSize] = size;
}

}  // namespace

void guided_update_cpu(const GuidedUpdate& update) {
  const int64_t first = Position{update.first, update.counter}.token();
  const VectorMath& math = vector_math();
  const int64_t images = update.x.size(0), tokens = update.x.size(1), width = update.x.size(2);
  const at::Tensor conditional = update.conditional.to(at::kFloat).contiguous();
  const at::Tensor unconditional = update.unconditional.defined()
                                       ? update.unconditional.to(at::kFloat).contiguous()
                                       : at::Tensor();
  const int64_t n = conditional.size(1);
  const float* const conditional_rows = conditional.const_data_ptr<float>();
  const float* const unconditional_rows =
      unconditional.defined() ? unconditional.const_data_ptr<float>() : nullptr;
  const float* const z = update.z.const_data_ptr<float>();
  float* const x = update.x.mutable_data_ptr<float>();
  float* const out = update.out.defined() ? update.out.mutable_data_ptr<float>() : x;
  double* const change =
      update.change.defined() ? update.change.mutable_data_ptr<double>() : nullptr;
  double* const statistics =
      update.statistics.defined() ? update.statistics.mutable_data_ptr<double>() : nullptr;
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> before(static_cast<size_t>(width));
    for (int64_t image = begin; image < end; ++image) {
      if (raised(update.stopped, image)) continue;
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) {
        const int64_t token = first + 1 + i, place = (image * tokens + token) * width,
                      row = (image * n + i) * 2 * width;
        const double weight =
            update.cfg * static_cast<double>(token) / static_cast<double>(tokens - 1);
        if (statistics) std::copy_n(x + place, width, before.data());
        if (out != x) std::copy_n(x + place, width, out + place);
        const double moved = math.update_token(
            conditional_rows + row, unconditional_rows ? unconditional_rows + row : nullptr,
            static_cast<float>(weight), z + place, static_cast<float>(update.clamp), out + place,
            width);
        squares += moved;
        if (statistics) {
          measure(before.data(), out + place, width, moved,
                  statistics + (image * tokens + token) * kStatistics);
        }
      }
      if (change) change[image] += squares;
    }
  });
}

#ifndef TARFLOW_USE_CUDA
void guided_update_cuda(const GuidedUpdate&) { no_cuda_kernels(); }
#endif

void guided_update(const GuidedUpdate& update) {
  if (update.change.defined() && update.statistics.defined())
    throw std::logic_error("guided_update takes `change` or `statistics`, not both");
  if (update.x.is_cpu()) return guided_update_cpu(update);
  return guided_update_cuda(update);
}

}  // namespace tarflow::kernels
