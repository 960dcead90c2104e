// Who used a host and a device during a timed stretch. Needs no LibTorch.
#pragma once

#include <string>
#include <vector>

namespace tarflow::experiments {

// What one process and everybody used of a host and a device during a stretch.
struct DeviceUse {
  std::string host = {};
  double busy = -1;  // CPU seconds of everybody; -1 where they cannot be read
  double own = 0;    // CPU seconds of this process
  double wall = 0;   // seconds
  double cpus = 1;
  bool gpu = false, seen_another = false;  // on that GPU, at some look
  bool stopped = false;                    // this process was stopped for a while and continued

  std::string text() const;
  static DeviceUse from(const std::string& text);
};

// Of the ranks of a job together: CPU time of others (stolen time included) over the wall time
// times the number of CPUs, on the host where that is most; -1 where it cannot be read.
double foreign_share(const std::vector<DeviceUse>& ranks);
// Nobody else was seen at any look (GPU), or took more than kForeignShareLimit (CPU).
bool quiet(const std::vector<DeviceUse>& ranks);
// Time passed in which a rank was stopped, by `scontrol suspend` say.
bool stopped(const std::vector<DeviceUse>& ranks);

}  // namespace tarflow::experiments
