#include "framework/job/selected.h"

#include <string>
#include <unordered_set>

namespace tarflow::job {

Selected selected_points(const Plan& plan) {
  std::unordered_set<std::string> runs;
  for (const Job& job : plan.pending) {
    for (const JobPoint& point : job.points) runs.insert(point.key);
  }
  Selected selected;
  const auto add = [&selected](bool chosen) {
    selected.all = selected.all && chosen;
    selected.total += chosen;
  };
  size_t open = 0;  // chosen, neither done nor to be run
  for (const Job& job : plan.all) {
    for (const JobPoint& point : job.points) {
      add(point.selected);
      const bool done = is_done(plan, point), to_run = runs.contains(point.key);
      selected.done += point.selected && done;
      open += point.selected && !done && !to_run;
      selected.left_out += !point.selected && !to_run;
    }
  }
  for (const sweep::Point& point : plan.cannot_run) {
    add(point.selected);
    selected.left_out += !point.selected;
  }
  selected.passed_over = open > plan.kept ? open - plan.kept : 0;
  selected.left_out += selected.passed_over;
  return selected;
}

}  // namespace tarflow::job
