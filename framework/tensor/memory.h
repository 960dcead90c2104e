// The free memory of a device, and the memory that a piece of work takes.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>

namespace tarflow {

// Bytes that can still be allocated on a GPU, with those that LibTorch holds unused. nullopt for a
// CPU: its memory is not planned.
std::optional<int64_t> free_memory(const at::Device& device);

// Frees the memory of a GPU that LibTorch holds unused. No-op on a CPU.
void release_unused_memory(const at::Device& device);

// Measures the bytes of tensors that are allocated between construction and peak(). On a CPU it
// counts what the constructing thread allocates and frees. Only one meter may exist at a time.
// While LibTorch's profiler records on a CPU nothing is counted.
class MemoryMeter {
 public:
  explicit MemoryMeter(const at::Device& device);
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  // The largest number of bytes that were allocated at once.
  int64_t peak() const;
  // Those that are allocated now.
  int64_t held() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarflow
