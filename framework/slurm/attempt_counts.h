// Which attempt of a job a submission is, where the profile's memory or time grows with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "framework/slurm/cluster_profile.h"

namespace tarflow::slurm {

class AttemptCounts {
 public:
  // Reads earlier submissions of the sweep if anything grows: also those of earlier calls of
  // run_sweep count, unless the job was done in them or they were cancelled or never queued.
  AttemptCounts(const ClusterProfile& profile, const std::filesystem::path& sweep_folder);

  // Of the next submission: 1 and how often the job was submitted in vain, at most
  // max_resubmissions + 1; 1 where nothing grows.
  int64_t of(const std::string& hash) const;
  void given(const std::string& hash) { ++given_[hash]; }

 private:
  bool grow_;
  int64_t most_;
  std::map<std::string, int64_t> given_;  // by the job's hash
};

}  // namespace tarflow::slurm
