// Ranks as threads of this process; as processes they are tested in tests/experiments.
#include "framework/dist/connect.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

#include "framework/core/error.h"
#include "tests/dist/ranks.h"

namespace tarflow::dist {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

class Ranks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Counts, Ranks, testing::Values(1, 2, 3, 4));

TEST_P(Ranks, RankZeroReceivesEveryonesBytesByRank) {
  expect_no_errors(as_ranks(GetParam(), [&](Communicator& comm) {
    for (int round = 0; round < 3; ++round) {
      const auto bytes = [&](int rank) { return std::string(static_cast<size_t>(rank), 'x'); };
      const std::vector<std::string> all = comm.gather(bytes(comm.rank() + round));
      ASSERT_EQ(all.size(), comm.first() ? static_cast<size_t>(comm.size()) : 0u);
      for (int rank = 0; rank < static_cast<int>(all.size()); ++rank)
        EXPECT_EQ(all[static_cast<size_t>(rank)], bytes(rank + round));
    }
    EXPECT_EQ(comm.end(comm.first() ? 75 : 1), 75);
  }));
}

TEST_P(Ranks, WhatRankZeroBroadcastsAllReceive) {
  expect_no_errors(as_ranks(GetParam(), [&](Communicator& comm) {
    for (const std::string text : {"", "a", "several words"})
      EXPECT_EQ(comm.broadcast(comm.first() ? text : "mine"), text);
    comm.end(0);
  }));
}

TEST_P(Ranks, AnyIsTrueWhereverItComesFrom) {
  expect_no_errors(as_ranks(GetParam(), [&](Communicator& comm) {
    EXPECT_FALSE(comm.any(false));
    for (int rank = 0; rank < comm.size(); ++rank) EXPECT_TRUE(comm.any(comm.rank() == rank));
    comm.barrier();
    comm.end(0);
  }));
}

TEST_P(Ranks, TensorsOfEveryRankArriveWhole) {
  const auto own = [](int rank) {
    Tensors tensors = {{"index", at::full({2}, rank, at::kLong)}};
    if (rank != 1) tensors["features"] = at::full({rank + 1, 3}, 0.1 * rank, at::kDouble);
    return tensors;
  };
  expect_no_errors(as_ranks(GetParam(), [&](Communicator& comm) {
    const std::vector<Tensors> all = comm.gather_tensors(own(comm.rank()));
    for (int rank = 0; rank < static_cast<int>(all.size()); ++rank) {
      const Tensors expected = own(rank), &found = all[static_cast<size_t>(rank)];
      ASSERT_EQ(found.size(), expected.size());
      for (const auto& [name, tensor] : expected) EXPECT_TRUE(found.at(name).equal(tensor));
    }
    comm.end(0);
  }));
}

TEST_P(Ranks, SumsAreTheSameOnAllRanks) {
  std::vector<at::Tensor> sums(static_cast<size_t>(GetParam()));
  expect_no_errors(as_ranks(GetParam(), [&](Communicator& comm) {
    const auto own = [](int rank, int round) {
      return at::arange(5, at::kFloat) / 3 + 0.1 * rank + round;
    };
    for (int round = 0; round < 2; ++round) {
      const at::Tensor floats = own(comm.rank(), round), number = at::full({}, 0.5, at::kDouble);
      comm.begin_sum(floats);
      comm.begin_sum(number);
      comm.finish_sums();
      at::Tensor expected = own(0, round);
      for (int rank = 1; rank < comm.size(); ++rank) expected = expected + own(rank, round);
      EXPECT_TRUE(floats.equal(expected));
      EXPECT_EQ(number.item<double>(), 0.5 * comm.size());
      sums[static_cast<size_t>(comm.rank())] = floats;
    }
    comm.finish_sums();  // of nothing
    comm.end(0);
  }));
  for (const at::Tensor& sum : sums) EXPECT_TRUE(sum.equal(sums.front()));
}

TEST(Connect, MoreThanTheStoreTakesAtOnceArrivesInPieces) {
  const std::string large(21 << 20, 'z');
  expect_no_errors(as_ranks(2, [&](Communicator& comm) {
    const std::vector<std::string> all = comm.gather(large);
    if (comm.first()) {
      EXPECT_TRUE(all.at(1) == large);
    }
    EXPECT_TRUE(comm.broadcast(large) == large);
    comm.end(0);
  }));
}

TEST(Connect, ARankThatFailsTellsTheOthersWhy) {
  const std::vector<std::string> errors =
      as_ranks(3,
               [](Communicator& comm) {
                 if (comm.rank() == 2) return comm.fail("image 7 is not finite");
                 comm.gather("");
                 comm.broadcast("");  // rank 1 has nothing to wait for in gather
               },
               {.silence = milliseconds(4000)});
  EXPECT_THAT(errors[0], AllOf(HasSubstr("rank 2"), HasSubstr("image 7 is not finite")));
  EXPECT_THAT(errors[1], AllOf(HasSubstr("rank 2"), HasSubstr("image 7 is not finite")));
}

TEST(Connect, AFailureOfRankZeroReachesTheOthersBeforeItsStoreEnds) {
  const std::vector<std::string> errors = as_ranks(2,
                                                   [](Communicator& comm) {
                                                     if (comm.first())
                                                       return comm.fail("the disk is full");
                                                     comm.broadcast("");
                                                   },
                                                   {.silence = milliseconds(4000)});
  EXPECT_THAT(errors[1], AllOf(HasSubstr("rank 0"), HasSubstr("the disk is full")));
}

TEST(Connect, ARankThatIsGoneIsNamed) {
  for (const int gone : {0, 1}) {
    const std::vector<std::string> errors = as_ranks(2,
                                                     [&](Communicator& comm) {
                                                       if (comm.rank() == gone) return;
                                                       comm.gather("");
                                                       comm.broadcast("");
                                                     },
                                                     {.silence = milliseconds(2000)});
    EXPECT_THAT(errors[static_cast<size_t>(1 - gone)], HasSubstr(gone == 0 ? "rank 0" : "rank 1"));
  }
}

TEST(Connect, ARankThatDoesNotComeToACallEndsItAtTheLimit) {
  const std::vector<std::string> errors =
      as_ranks(2,
               [](Communicator& comm) {
                 if (comm.first()) {
                   comm.gather("");
                 } else {
                   // Alive, elsewhere, until rank 0 has given up.
                   std::this_thread::sleep_for(milliseconds(1500));
                 }
               },
               {.silence = milliseconds(60000), .collective = milliseconds(300)});
  EXPECT_THAT(errors[0], HasSubstr("did not come together"));
}

TEST(Connect, RanksThatAreNotStartedAreNamed) {
  const Socket socket = listening_socket();
  RankPlace place;
  place.size = 3;
  place.address = "127.0.0.1";
  place.port = socket.port;
  place.listening = socket.listening;
  try {
    connect(place, at::kCPU, {.connect = milliseconds(100)});
    FAIL() << "there are no ranks 1 and 2";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("ranks 1, 2 of 3"));
  }
}

TEST(Connect, AHostThatNobodyKnowsIsNamed) {
  RankPlace place;
  place.rank = 1;
  place.size = 2;
  place.address = "no-such-host.invalid";
  place.port = 29500;
  try {
    connect(place, at::kCPU, {.connect = milliseconds(100)});
    FAIL() << "the name means nothing";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no-such-host.invalid"), HasSubstr("MASTER_ADDR")));
  }
}

TEST(Connect, APortThatIsTakenIsNamed) {
  const Socket socket = listening_socket();
  RankPlace place;
  place.size = 2;
  place.address = "127.0.0.1";
  place.port = socket.port;
  EXPECT_THROW(connect(place, at::kCPU, {.connect = milliseconds(100)}), Error);
  ::close(socket.listening);
}

}  // namespace
}  // namespace tarflow::dist
