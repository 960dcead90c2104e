// Memory and time of a cluster profile, which may grow with the attempt: `mem: 32 GB * attempt`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "framework/slurm/cluster_profile.h"
#include "framework/sweep/report.h"

namespace tarflow::slurm {

// "32G", "32 GB", "1.5T": megabytes of 1024 * 1024 bytes, as Slurm counts them, rounded up; nothing
// when it is not a number and one of the units K, M, G, T.
std::optional<double> megabytes_of(const std::string& text);
// A memory of the profile for this attempt, from 1: the text itself, or its multiple in megabytes.
std::string memory_text(const std::string& memory, const ClusterProfile& profile, int64_t attempt);

// What a value of the profile says before `* attempt`, and whether it has that factor. Nothing,
// reported, for another factor.
std::optional<std::string> first_attempt(const sweep::Node& node, const char* name, bool& grows,
                                         sweep::Report& report);

struct Amount {
  bool known =
      false;         // it was read or is reported; else it has no such unit, and is Slurm's affair
  std::string text;  // as sbatch takes it: "32G"
  bool grows = false;
};
// "32 GB", "32G * attempt".
Amount read_amount(const sweep::Node& node, const char* name, sweep::Report& report);

}  // namespace tarflow::slurm
