#include "framework/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tarflow::training {

double learning_rate(const Schedule& schedule, int64_t done) {
  const double span = schedule.largest - schedule.smallest, k = static_cast<double>(done),
               warm_up = static_cast<double>(schedule.warm_up);
  if (done <= schedule.warm_up && schedule.warm_up > 0)
    return schedule.smallest + k / warm_up * span;
  const double rest = static_cast<double>(std::max<int64_t>(schedule.steps - schedule.warm_up, 1));
  const double t = std::min((k - warm_up) / rest, 1.0);
  return schedule.smallest + 0.5 * span * (1 + std::cos(t * std::numbers::pi));
}

}  // namespace tarflow::training
