#include "framework/slurm/headway.h"

namespace tarflow::slurm {

int starts_without_headway(const std::vector<TaskEvent>& before, const TaskEvent& stopped,
                           double enough) {
  if (enough <= 0 || stopped.seconds < enough) return 0;
  int starts = 1;
  for (auto event = before.rbegin(); event != before.rend(); ++event) {
    if (event->what != "job" || event->job != stopped.job) continue;  // others run beside it
    if (event->outcome != "stopped" || event->seconds < enough ||
        event->reached < stopped.reached) {
      break;
    }
    ++starts;
  }
  return starts;
}

}  // namespace tarflow::slurm
