// The cluster profiles in sweeps/clusters are examples that users copy.
#include <gtest/gtest.h>

#include "framework/slurm/cluster_profile_file.h"

namespace tarflow::slurm {
namespace {

TEST(ShippedProfiles, AreReadWithoutComplaint) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(TARFLOW_SOURCE_DIR) / "sweeps/clusters")) {
    const ClusterProfile profile = read_profile(entry.path());
    EXPECT_TRUE(profile.slurm()) << entry.path();
    EXPECT_FALSE(profile.partition.empty()) << entry.path();
    EXPECT_GT(profile.time, profile.signal_lead) << entry.path();
    ++count;
  }
  EXPECT_EQ(count, 3u);
}

}  // namespace
}  // namespace tarflow::slurm
