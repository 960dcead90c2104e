// The learning rate of each step: linear warm-up, then half a cosine (the published formula).
#pragma once

#include <cstdint>

namespace tarflow::training {

struct Schedule {
  double largest = 1e-4, smallest = 1e-6;
  int64_t warm_up = 0;  // steps
  int64_t steps = 1;    // of the whole training
};

// Of the step that follows `done` steps. With W = warm_up and N = steps:
//   done <= W: smallest + (largest - smallest) done / W
//   then:      smallest + (largest - smallest) (1 + cos(pi (done - W) / (N - W))) / 2
double learning_rate(const Schedule& schedule, int64_t done);

}  // namespace tarflow::training
