// The state of a block's inversion on the device. Its addresses are the same for all blocks, so a
// recorded graph serves all of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "framework/tensor/graphs.h"

namespace tarflow {

// The state that all methods share, for the N images of an inversion.
struct Iterate {
  at::Tensor z, x;        // (N, T, D) fp32 in the block's token order
  at::Tensor change;      // (N) float64, as in kernels::Residual
  at::Tensor stopped;     // (N) int32, as in kernels::Residual
  at::Tensor finished;    // (1) int32, as in kernels::Residual
  at::Tensor done;        // (1) int32, as in kernels::Residual
  at::Tensor statistics;  // (N, T, 3) float64, as there; undefined until a method sets it
};

class Workspace {
 public:
  Workspace(const at::Device& device, int64_t capacity);

  // Begins the inversion of z (N, T, D). Copies z and leaves the other tensors as they are.
  Iterate& begin(const at::Tensor& z);
  Iterate& iterate() { return iterate_; }

  // Further state of a method: (N, shape...), one row per image, zeros at first. A later call with
  // the same name, shape and type returns the same memory with its content. Another shape or type
  // has memory of its own.
  at::Tensor rows(const std::string& name, at::IntArrayRef shape, at::ScalarType type);

  // (shape...): the same for state that is not kept per image. There is one block at a time.
  at::Tensor room(const std::string& name, at::IntArrayRef shape, at::ScalarType type);

  Graphs& graphs() { return graphs_; }

  // A counter (1) int64 on the device: the index of a single step's input. The step increases it
  // by 1. set_counter() returns the counter with the value `first`. counter_moved() is called after
  // the step at `first` was given to the device.
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
  int64_t next_ = -1;  // the value of counter_ after all work of the device; -1: not known
};

}  // namespace tarflow
