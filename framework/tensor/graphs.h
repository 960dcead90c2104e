// Work that a GPU is given again and again, recorded as CUDA graphs, so that the host spends next
// to nothing on it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace tarflow {

// All graphs share one pool of memory: whatever `work` allocates may be overwritten by the next
// run() of any key. On a CPU work is simply done.
class Graphs {
 public:
  explicit Graphs(const at::Device& device);
  ~Graphs();
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  // Does `work`: the first time under this key as it stands (libraries load and plan then), the
  // second time it is recorded, and from then on the record is given to the device. The key must
  // tell all that `work` depends on, addresses included; it must not wait for the device.
  void run(const std::vector<int64_t>& key, const std::function<void()>& work);

  // At most so many records are kept; further keys are done as they stand.
  static constexpr size_t kMost = 256;

 private:
  struct Pool;
  struct Record;
  at::Device device_;
  std::unique_ptr<Pool> pool_;
  std::map<std::vector<int64_t>, std::unique_ptr<Record>> records_;  // null: to be recorded
};

}  // namespace tarflow
