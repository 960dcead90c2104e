// What a device's memory has left, and what a stretch of work takes of it.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>

namespace tarflow {

// Bytes that can still be allocated on a GPU, those included that LibTorch holds unused. Nothing
// for a CPU, whose memory is not planned.
std::optional<int64_t> free_memory(const at::Device& device);

// Gives what LibTorch holds unused on a GPU back to it. No-op on a CPU.
void release_unused_memory(const at::Device& device);

// The most bytes of tensors that are allocated at once between construction and peak(), beyond what
// was there before. On a CPU it sees what the constructing thread allocates and frees; one at a
// time.
class MemoryMeter {
 public:
  explicit MemoryMeter(const at::Device& device);
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  int64_t peak() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarflow
