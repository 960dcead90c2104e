#include "experiments/worker/dealing.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <barrier>
#include <memory>
#include <thread>

namespace tarflow::experiments {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// Ranks that are threads of this process.
struct Meeting {
  explicit Meeting(int ranks) : together(ranks), tensors(static_cast<size_t>(ranks)) {}

  std::barrier<> together;
  std::vector<dist::Tensors> tensors;
  std::string word;
  int exchanges = 0;
};

class ThreadRank : public dist::Communicator {
 public:
  ThreadRank(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.tensors.size()); }
  std::vector<std::string> gather(const std::string&) override { return {}; }
  std::string broadcast(const std::string& bytes) override {
    if (rank_ == 0) meeting_.word = bytes;
    meeting_.together.arrive_and_wait();
    std::string word = meeting_.word;
    meeting_.together.arrive_and_wait();
    return word;
  }
  std::vector<dist::Tensors> gather_tensors(const dist::Tensors& tensors) override {
    meeting_.tensors[static_cast<size_t>(rank_)] = tensors;
    if (rank_ == 0) ++meeting_.exchanges;
    meeting_.together.arrive_and_wait();
    std::vector<dist::Tensors> all;
    if (rank_ == 0) all = meeting_.tensors;
    meeting_.together.arrive_and_wait();
    return all;
  }
  void begin_sum(const at::Tensor&) override { FAIL() << "nothing is added up"; }
  void finish_sums() override { FAIL() << "nothing is added up"; }
  void fail(const std::string&) noexcept override {}
  int end(int status) override { return status; }

 private:
  Meeting& meeting_;
  const int rank_;
};

// What a dealing of pieces did.
struct Dealt {
  std::vector<std::vector<int64_t>> made;  // by rank
  std::vector<int64_t> added;
  std::vector<bool> finished;  // by rank
  int exchanges = 0;
};

// Rank `stopping` is asked to stop once it has made `stop_after` pieces.
Dealt deal(int ranks, int64_t pieces, int64_t first = 0, int stopping = -1, size_t stop_after = 0) {
  Dealt dealt;
  dealt.made.resize(static_cast<size_t>(ranks));
  std::vector<char> finished(static_cast<size_t>(ranks));
  Meeting meeting(ranks);
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRank comm(meeting, rank);
      std::vector<int64_t>& made = dealt.made[static_cast<size_t>(rank)];
      Dealing dealing(comm, pieces, first);
      finished[static_cast<size_t>(rank)] = dealing.run(
          [&](int64_t index) {
            made.push_back(index);
            // Pieces of several names, some with none.
            if (index % 5 == 4) return Piece{};
            return Piece{{"index", at::full({}, index, at::kLong)},
                         {"10 more", at::full({2}, 0.5 * static_cast<double>(index), at::kDouble)}};
          },
          [&](int64_t index, const Piece& piece) {
            dealt.added.push_back(index);
            ASSERT_THAT(piece, SizeIs(index % 5 == 4 ? 0 : 2)) << index;
            if (piece.empty()) return;
            EXPECT_EQ(piece.at("index").item<int64_t>(), index);
            EXPECT_EQ(piece.at("10 more")[1].item<double>(), 0.5 * static_cast<double>(index));
          },
          [&] { return rank == stopping && made.size() >= stop_after; });
    });
  }
  threads.clear();
  dealt.finished.assign(finished.begin(), finished.end());
  dealt.exchanges = meeting.exchanges;
  return dealt;
}

std::vector<int64_t> range(int64_t first, int64_t last) {
  std::vector<int64_t> all;
  for (int64_t i = first; i < last; ++i) all.push_back(i);
  return all;
}

TEST(Dealing, EveryPieceIsMadeOnceAndAddedInOrder) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (const int64_t pieces : {0, 1, 2, 4, 5, 37}) {
      for (const int64_t first : {0, 1, 3}) {
        const Dealt dealt = deal(ranks, pieces, first);
        EXPECT_EQ(dealt.added, range(first, std::max(first, pieces)));
        for (int rank = 0; rank < ranks; ++rank) {
          std::vector<int64_t> mine;
          for (int64_t i = first; i < pieces; ++i) {
            if (i % ranks == rank) mine.push_back(i);
          }
          EXPECT_EQ(dealt.made[static_cast<size_t>(rank)], mine);
          EXPECT_TRUE(dealt.finished[static_cast<size_t>(rank)]);
        }
      }
    }
  }
}

TEST(Dealing, QuickPiecesAreExchangedTogether) {
  EXPECT_LT(deal(2, 200).exchanges, 100) << "100 rounds";
}

TEST(Dealing, AllRanksStopTogetherWithNothingLost) {
  for (int stopping = 0; stopping < 3; ++stopping) {
    const Dealt dealt = deal(3, 1000, 0, stopping, 1);
    EXPECT_THAT(dealt.finished, ElementsAre(false, false, false));
    EXPECT_THAT(dealt.added, ElementsAre(0, 1, 2)) << "what was made is added";
  }
  EXPECT_THAT(deal(1, 1000, 0, 0, 7).added, SizeIs(7));
  EXPECT_THAT(deal(2, 2, 0, 1, 1).finished, ElementsAre(true, true)) << "nothing was left to do";
}

}  // namespace
}  // namespace tarflow::experiments
