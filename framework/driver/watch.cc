// run_sweep watch: the status again and again, until nobody is at work any more, here or on a
// cluster.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/driver/status.h"
#include "framework/slurm/driver.h"

namespace tarflow::driver {
namespace {

constexpr std::chrono::seconds kWatch{2};
constexpr std::chrono::minutes kPatience{2};  // with a Slurm that does not answer

}  // namespace

int watch_sweep(const Look& look) {
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  slurm::Queue queue = queue_for(kPatience, slurm::second_look_of(look.profile()));
  for (;;) {
    slurm::ClusterView cluster = slurm::cluster_view(look.folder(), queue);
    note_changed_profile(look.folder(), look.profile(), cluster);
    const job::Plan plan = look.plan();
    print(fmt::format("{}{}{}", terminal ? "\033[H\033[J" : "", status_text(plan, cluster),
                      terminal ? "" : "\n"));
    if (!at_work(plan.folder) && !cluster.open) return kAllDone;
    std::this_thread::sleep_for(std::max<std::chrono::milliseconds>(kWatch, cluster.poll));
  }
}

}  // namespace tarflow::driver
