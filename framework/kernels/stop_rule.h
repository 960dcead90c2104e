// The measure of an iteration's change and its comparison with a stop (method.md section 2 "Stop").
// The compilers of CPUs and GPUs both compile this code.
#pragma once

#include <cmath>
#include <cstdint>

#include "framework/core/stop.h"
#include "framework/kernels/guided_update.h"
#include "framework/tensor/host_device.h"

namespace tarflow::kernels {

// The change that one iteration made to some tokens.
struct Measure {
  double squares, largest, size;  // sums and maximum over tokens and features, as in GuidedUpdate
  double token;                   // largest sum of squared changes of a token
};

// The larger number; NaN if one of the two is NaN.
TARFLOW_HD double larger(double a, double b) { return a != a || a >= b ? a : b; }

TARFLOW_HD void join(Measure& into, const Measure& other) {
  into.squares += other.squares;
  into.largest = larger(into.largest, other.largest);
  into.size += other.size;
  into.token = larger(into.token, other.token);
}

// Joins the statistics of a token, and sets its changes to zero. Its size stays.
TARFLOW_HD void take_token(Measure& into, double* statistics) {
  join(into, {statistics[kSquares], statistics[kLargest], statistics[kSize], statistics[kSquares]});
  statistics[kSquares] = statistics[kLargest] = 0;
}

// The change of `images` images of `width` features per token, in the norm of a stop.
TARFLOW_HD double value_of(Norm norm, const Measure& measure, double images, double width) {
  switch (norm) {
    case Norm::kPublished:
      return sqrt(measure.squares) / (images * width);
    case Norm::kMaxAbs:
      return measure.largest;
    case Norm::kRelativeMse:
      // Without a change the ratio is 0, also for x = 0. It is unknown if the size is not finite.
      if (measure.squares == 0) return 0;
      return measure.size - measure.size == 0 ? measure.squares / measure.size : NAN;
    case Norm::kTokenRms:
      return sqrt(measure.token / width);
  }
  return NAN;
}

// Whether a change of this value ends the iterations. The published loop continues while the
// difference is greater than the threshold: NaN ends it. NaN ends no other stop.
TARFLOW_HD bool ends(const Stop& stop, double value) {
  if (stop.norm == Norm::kPublished && stop.scope == Scope::kChunk)
    return !(value > stop.threshold);
  return value <= stop.threshold;
}

}  // namespace tarflow::kernels
