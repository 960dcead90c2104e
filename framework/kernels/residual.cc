#include "framework/kernels/residual.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "framework/kernels/guided_update.h"
#include "framework/kernels/position.h"

namespace tarflow::kernels {
namespace {

// The change that one iteration made to one image or to all images.
struct Measure {
  double squares = 0, largest = 0, size = 0;  // sums and maximum over tokens and features
  double token = 0;                           // largest sum of squared changes of a token
};

double larger(double a, double b) { return std::isnan(a) || a >= b ? a : b; }

// The change of tokens [first, last) of one image. Sets the changes in `statistics` to zero.
Measure measure(double* statistics, int64_t first, int64_t last) {
  Measure image;
  for (int64_t token = first; token < last; ++token) {
    double* const entry = statistics + token * kStatistics;
    image.squares += entry[kSquares];
    image.largest = larger(image.largest, entry[kLargest]);
    image.size += entry[kSize];
    image.token = larger(image.token, entry[kSquares]);
    entry[kSquares] = entry[kLargest] = 0;
  }
  return image;
}

// The change of `images` images in the norm of a stop.
double value_of(Norm norm, const Measure& measure, double images, double width) {
  switch (norm) {
    case Norm::kPublished:
      return std::sqrt(measure.squares) / (images * width);
    case Norm::kMaxAbs:
      return measure.largest;
    case Norm::kRelativeMse:
      // Without a change the ratio is 0, also for x = 0. If the size overflowed, the ratio is
      // unknown.
      if (measure.squares == 0) return 0;
      return std::isfinite(measure.size) ? measure.squares / measure.size
                                         : std::numeric_limits<double>::quiet_NaN();
    case Norm::kTokenRms:
      return std::sqrt(measure.token / width);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

// The published loop continues while the difference is greater than the threshold: NaN stops it. In
// the other norms, and for by_image image, NaN does not stop.
bool ends(const Stop& stop, double value) {
  if (stop.norm == Norm::kPublished && stop.scope == Scope::kChunk)
    return !(value > stop.threshold);
  return value <= stop.threshold;
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
  Measure all;
  for (int64_t i = 0; i < images; ++i) {
    Measure& image = by_image[static_cast<size_t>(i)];
    image.squares = change[i];
    if (work.statistics.defined()) {
      double* const statistics = work.statistics.mutable_data_ptr<double>();
      image =
          measure(statistics + i * work.statistics.size(1) * kStatistics, work.first, work.last);
    }
    all.squares += image.squares;
    all.largest = larger(all.largest, image.largest);
    all.size += image.size;
    all.token = larger(all.token, image.token);
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
