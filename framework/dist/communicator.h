// The ranks of a job: processes that share its work, one a GPU or a share of the CPUs. Small things
// go through a store that rank 0 keeps (LibTorch's TCPStore); tensors on GPUs go through NCCL.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/dist/pack.h"

namespace tarflow::dist {

// All ranks make the same calls in the same order; a call returns when this rank's part of it is
// done. Every one of them throws Error that names the rank and its host when another rank failed,
// has been silent, or has not come to the call within the limit; the communicator is of no use
// afterwards, and the process is to end.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool first() const { return rank() == 0; }

  // Rank 0 receives every rank's bytes, by rank; the others get nothing. Any sizes.
  virtual std::vector<std::string> gather(const std::string& bytes) = 0;
  // Of rank 0 to all; what the others pass is left out of account.
  virtual std::string broadcast(const std::string& bytes) = 0;
  // As gather, for tensors by name: rank 0 receives each on the CPU when it was on the CPU, else on
  // the device of rank 0.
  virtual std::vector<Tensors> gather_tensors(const Tensors& tensors) = 0;

  // Begins to add up a contiguous tensor of all ranks, in place; every rank has one of this shape
  // and type, on the device of its connection. The sum is there, the same bits on all ranks, when
  // finish_sums() has returned; until then the tensor is not to be touched. On CPUs the ranks are
  // added in their order.
  virtual void begin_sum(const at::Tensor& tensor) = 0;
  virtual void finish_sums() = 0;

  // Asks all ranks to come to their next call soon, for instance since the job is to stop; all see
  // so within about a second, and until the end.
  virtual void call_together() noexcept {}
  virtual bool called_together() const noexcept { return false; }

  // Tells the other ranks why this one fails; to be called once, before it ends. Never throws,
  // returns within seconds.
  virtual void fail(const std::string& why) noexcept = 0;
  // The last call of every rank: all return the `status` of rank 0. They wait for it as long as it
  // takes, while rank 0 is alive.
  virtual int end(int status) = 0;

  // Whether any rank says so.
  bool any(bool flag);
  // Returns when all ranks came here.
  void barrier();
};

// A job of one process.
std::unique_ptr<Communicator> one_process();

// Thrown where this rank ends because of another one.
class OtherRankFailed : public Error {
 public:
  OtherRankFailed(int rank, const std::string& what, const std::string& repair = "")
      : Error(what, repair), rank_(rank) {}
  int rank() const { return rank_; }  // the one that failed

 private:
  int rank_;
};

}  // namespace tarflow::dist
