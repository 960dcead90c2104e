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
  // every so many rounds the ranks exchange what they have. When any of them is asked to stop they
  // do so at once: then false, on all ranks, unless the last piece is added.
  // Each rank calls `settle`, if there is one, before what it made goes to the others; in one
  // process nobody calls it.
  bool run(const std::function<Piece(int64_t)>& work,
           const std::function<void(int64_t, const Piece&)>& add,
           const std::function<bool()>& stop_requested, const std::function<void()>& settle = {});

  int64_t ranks() const { return ranks_; }
  int64_t first_mine() const;  // of this rank's pieces
  // What the exchanges took on this rank, without waiting for those that come later.
  double exchange_seconds() const { return exchange_seconds_; }

 private:
  // What all ranks do after an exchange.
  struct Agreement {
    int64_t rounds = 1;  // until the next one
    bool stop = false;   // any rank is asked to
    bool whole = false;  // no piece of the exchange is missing
  };

  // Of all ranks: the pieces from `first` on, `rounds` of them a rank, or fewer when the ranks were
  // called together.
  Agreement exchange(dist::Tensors own, int64_t first, int64_t rounds, double seconds,
                     const std::function<void(int64_t, const Piece&)>& add);
  Agreement shared(const Agreement& agreement);  // of rank 0
  int64_t next_rounds(double seconds, int64_t rounds, int64_t bytes) const;

  dist::Communicator& comm_;
  const int64_t pieces_, first_, ranks_;
  double exchange_seconds_ = 0;
};

}  // namespace tarflow::experiments
