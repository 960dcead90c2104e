#include "framework/dist/rank_device.h"

#include <gmock/gmock.h>

#include "framework/core/error.h"

namespace tarflow::dist {
namespace {

RankPlace place(int local_rank, int size) {
  RankPlace place;
  place.rank = place.local_rank = local_rank;
  place.size = place.local_size = size;
  return place;
}

TEST(RankDevice, OneProcessHasTheDeviceItAskedFor) {
  for (const std::string device : {"auto", "cpu", "cuda", "cuda:3", "nonsense"})
    EXPECT_EQ(rank_device(device, place(0, 1), 4), device);
}

TEST(RankDevice, RanksTakeTheGpuOfTheirLocalRank) {
  EXPECT_EQ(rank_device("auto", place(2, 4), 4), "cuda:2");
  EXPECT_EQ(rank_device("cuda", place(2, 3), 4), "cuda:2");
}

TEST(RankDevice, ARankThatSeesOneGpuTakesThat) {
  EXPECT_EQ(rank_device("auto", place(2, 4), 1), "cuda:0");
}

TEST(RankDevice, WithoutGpusRanksComputeOnCpus) {
  EXPECT_EQ(rank_device("auto", place(1, 2), 0), "auto");
  EXPECT_EQ(rank_device("cpu", place(1, 2), 8), "cpu");
}

TEST(RankDevice, FewerGpusThanRanksAreAnError) {
  EXPECT_THROW(rank_device("auto", place(2, 3), 2), Error);
  EXPECT_THROW(rank_device("cuda", place(1, 2), 0), Error);
}

TEST(RankDevice, ANumberedGpuIsNotForSeveralRanks) {
  EXPECT_THROW(rank_device("cuda:0", place(1, 2), 4), Error);
}

}  // namespace
}  // namespace tarflow::dist
