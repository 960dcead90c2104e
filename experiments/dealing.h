// Work in pieces of fixed index, dealt to the ranks of a job in turn, with results that come
// together in the order of the index: the same bits for any number of ranks.
#pragma once

#include <cstdint>
#include <functional>

#include "framework/dist/communicator.h"

namespace tarflow::experiments {

using Piece = dist::Tensors;  // what comes of one piece of work, by name

class Dealing {
 public:
  // Keeps a reference to the communicator. Pieces before `first` are done already.
  Dealing(dist::Communicator& comm, int64_t pieces, int64_t first = 0);

  // On each rank `work` makes its pieces, in the order of the index; piece p is dealt to rank
  // p % ranks(). On rank 0 `add` gets all of them in that order, some time after they are made:
  // every so many rounds the ranks exchange what they have. False, on all ranks at the same
  // exchange, when any of them is asked to stop before the last piece is done.
  bool run(const std::function<Piece(int64_t)>& work,
           const std::function<void(int64_t, const Piece&)>& add,
           const std::function<bool()>& stop_requested);

  int64_t ranks() const { return ranks_; }
  int64_t first_mine() const;  // of this rank's pieces

 private:
  // Of all ranks: the pieces from `first` on, `rounds` of them a rank. Returns the rounds until the
  // next exchange, as rank 0 has it; 0: to stop.
  int64_t exchange(dist::Tensors own, int64_t first, int64_t rounds, double seconds, bool stop,
                   const std::function<void(int64_t, const Piece&)>& add);
  int64_t next_rounds(double seconds, int64_t rounds, int64_t bytes) const;

  dist::Communicator& comm_;
  const int64_t pieces_, first_, ranks_;
};

}  // namespace tarflow::experiments
