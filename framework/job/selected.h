// What of a sweep a call with --only is about.
#pragma once

#include <cstddef>

#include "framework/job/plan.h"

namespace tarflow::job {

// Points, counted. total = done + to be run + passed_over + Plan::kept + those without their files,
// unless finished points are computed again.
struct Selected {
  size_t total = 0, done = 0;  // points that --only chooses, and those of them that are done
  bool all = true;             // --only leaves out none
  size_t passed_over = 0;      // chosen and not done; --retry-failed leaves them out
  // Of all points of the sweep: those that --only or --retry-failed leaves out. A point that is not
  // chosen and runs, because a chosen one reads the file that it makes, is not among them.
  size_t left_out = 0;
};

Selected selected_points(const Plan& plan);

}  // namespace tarflow::job
