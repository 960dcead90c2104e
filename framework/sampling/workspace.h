// The state of a block's inversion on the device. Its addresses stay the same from block to block,
// so that work recorded as a graph serves all of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "framework/tensor/graphs.h"

namespace tarflow {

// What every method works on, of the N images of an inversion.
struct Iterate {
  at::Tensor z, x;        // (N, T, D) fp32 in the block's token order
  at::Tensor change;      // (N) float64, as in kernels::Residual
  at::Tensor stopped;     // (N) int32, likewise
  at::Tensor finished;    // (1) int32, likewise
  at::Tensor done;        // (1) int32, likewise
  at::Tensor statistics;  // (N, T, 3) float64, likewise; undefined until a method asks for it
};

class Workspace {
 public:
  Workspace(const at::Device& device, int64_t capacity);

  // For the inversion of z (N, T, D): z copied in, the rest not set.
  Iterate& begin(const at::Tensor& z);
  Iterate& iterate() { return iterate_; }

  // (N, shape...): further state that a method keeps for each image under a name of its own. The
  // content is what was left there, at first zeros; each shape and type of a name has its own.
  at::Tensor rows(const std::string& name, at::IntArrayRef shape, at::ScalarType type);

  Graphs& graphs() { return graphs_; }

  // A counter (1) int64 on the device: the input of a single step, which moves it on by one.
  // set_counter() returns it as the step at `first` needs it; counter_moved() says that the device
  // was given that step.
  at::Tensor set_counter(int64_t first);
  void counter_moved(int64_t first) { next_ = first + 1; }

 private:
  at::Device device_;
  int64_t capacity_;
  int64_t images_ = 0;
  std::map<std::string, at::Tensor> rooms_;  // (capacity, shape...)
  Iterate iterate_;
  Graphs graphs_;
  at::Tensor counter_;
  int64_t next_ = -1;  // what counter_ will be once the device has done all it was given
};

}  // namespace tarflow
