#include "framework/kernels/residual.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "framework/kernels/guided_update.h"
#include "framework/kernels/position.h"
#include "framework/kernels/stop_rule.h"

namespace tarflow::kernels {
namespace {

// The change of tokens [first, last) of one image. Sets the changes in `statistics` to zero.
Measure measure(double* statistics, int64_t first, int64_t last) {
  Measure image{};
  for (int64_t token = first; token < last; ++token)
    take_token(image, statistics + token * kStatistics);
  return image;
}

}  // namespace

void residual_cpu(const Residual& work) {
  int& finished = *work.finished.mutable_data_ptr<int>();
  int& done = *work.done.mutable_data_ptr<int>();
  if (finished || done >= work.history.numel()) return;
  const int64_t images = work.change.numel();
  double* const change = work.change.mutable_data_ptr<double>();
  int* const stopped = work.stopped.mutable_data_ptr<int>();
  std::vector<Measure> by_image(static_cast<size_t>(images));
  Measure all{};
  for (int64_t i = 0; i < images; ++i) {
    Measure& image = by_image[static_cast<size_t>(i)];
    image.squares = change[i];
    if (work.statistics.defined()) {
      double* const statistics = work.statistics.mutable_data_ptr<double>();
      image =
          measure(statistics + i * work.statistics.size(1) * kStatistics, work.first, work.last);
    }
    join(all, image);
    change[i] = 0;
  }
  const double count = static_cast<double>(images), width = static_cast<double>(work.width);
  work.history.mutable_data_ptr<double>()[done++] = value_of(Norm::kPublished, all, count, width);
  if (!work.stop) return;
  if (work.stop->scope == Scope::kChunk) {
    finished = ends(*work.stop, value_of(work.stop->norm, all, count, width));
    if (finished) std::fill_n(stopped, images, 1);
    return;
  }
  finished = 1;
  for (int64_t i = 0; i < images; ++i) {
    const Measure& image = by_image[static_cast<size_t>(i)];
    if (ends(*work.stop, value_of(work.stop->norm, image, 1, width))) stopped[i] = 1;
    if (!stopped[i]) finished = 0;
  }
}

#ifndef TARFLOW_USE_CUDA
void residual_cuda(const Residual&) { no_cuda_kernels(); }
#endif

void residual(const Residual& work) {
  if (work.stop && work.stop->norm != Norm::kPublished && !work.statistics.defined())
    throw std::logic_error("this norm needs the statistics of tokens");
  return work.change.is_cpu() ? residual_cpu(work) : residual_cuda(work);
}

}  // namespace tarflow::kernels
