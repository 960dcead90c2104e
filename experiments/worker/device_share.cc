#include "experiments/worker/device_share.h"

#include "experiments/worker/environment.h"
#include "experiments/worker/stop_signals.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

namespace tarflow::experiments {
namespace {

// Seconds that the machine's CPUs spent on anything but idling and waiting, since boot; -1 where it
// cannot be read.
double busy_seconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (!(stat >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal))
    return -1;
  return (user + nice + system + irq + softirq + steal) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double own_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Slurm suspends a job by stopping its processes; the clocks go on meanwhile.
std::atomic<int> times_continued{0};
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

int continued_so_far() {
  static const bool handled = [] {
    handle_unless_ignored(SIGCONT, [](int) { ++times_continued; });
    return true;
  }();
  return handled ? times_continued.load() : 0;
}

}  // namespace

DeviceShare::DeviceShare(const at::Device& device)
    : busy_(busy_seconds()),
      own_(own_seconds()),
      start_(now_seconds()),
      continued_(continued_so_far()),
      gpu_(device.is_cuda()),
      pci_bus_id_(pci_bus_id(device)) {
  look();
}

void DeviceShare::look() {
  if (!gpu_) return;
  const std::optional<int> processes = nvml_.compute_processes(pci_bus_id_);
  seen_another_ = seen_another_ || (processes && *processes > 1);
}

DeviceUse DeviceShare::use() const {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  DeviceUse use;
  use.host = host;
  const double busy = busy_seconds();
  if (busy_ >= 0 && busy >= 0) use.busy = busy - busy_;
  use.own = own_seconds() - own_;
  use.wall = now_seconds() - start_;
  use.cpus = std::max(1u, std::thread::hardware_concurrency());
  use.gpu = gpu_;
  use.seen_another = seen_another_;
  use.stopped = continued_so_far() != continued_;
  return use;
}

}  // namespace tarflow::experiments
