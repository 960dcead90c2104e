// Work that a GPU is given again and again, recorded as CUDA graphs, so that the host spends next
// to nothing on it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <vector>

namespace tarflow {

// All graphs share one pool of memory: whatever `work` allocates may be overwritten by the next
// run() of any key. On a CPU work is simply done.
class Graphs {
 public:
  using Work = std::function<void()>;
  using Key = std::vector<int64_t>;

  // Gives recorded work to the device.
  using Replay = std::function<void()>;
  // Records what `work` gives to the device, without doing it.
  using Recorder = std::function<Replay(const Work& work)>;

  explicit Graphs(const at::Device& device);
  // Records by `recorder`; for tests.
  explicit Graphs(Recorder recorder);
  ~Graphs();
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  // Does `work`: the first time under this key as it stands (libraries load and plan then), the
  // second time it is recorded, and from then on the record is given to the device. The key must
  // tell all that `work` depends on, addresses included; it must not wait for the device.
  void run(const Key& key, const Work& work);

  // So many keys are remembered. A further key takes the place of the one that was not used for the
  // longest time, and the first time this happens it is said on stderr: more keys than this that
  // take turns are never replayed. A block of T tokens in segments has at most T / 2 keys.
  static constexpr size_t kMost = 1024;

 private:
  struct Entry {
    Key key;
    Replay replay;  // empty: to be recorded
  };

  void forget_oldest();

  Recorder recorder_;         // empty: nothing is recorded
  std::list<Entry> entries_;  // the last used first
  std::map<Key, std::list<Entry>::iterator> places_;
  bool said_ = false;
};

}  // namespace tarflow
