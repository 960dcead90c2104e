// Whether a timed stretch had the CPU to itself.
#pragma once

#include <cstdint>

namespace tarflow::experiments {

// Compares what this process used of the CPUs it may run on with what everybody used, from its
// construction on.
class DeviceShare {
 public:
  DeviceShare();

  // CPU time of others (stolen time included) over the wall time times the number of CPUs; -1 where
  // it cannot be read.
  double foreign_share() const;

 private:
  double busy_ = 0, own_ = 0, start_ = 0;
};

// Above this share of foreign work a timing does not count.
inline constexpr double kForeignShareLimit = 0.1;

}  // namespace tarflow::experiments
