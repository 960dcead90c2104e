// Batches of listed images, each of the same files whoever loads it: what is dealt to the processes
// of a job.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "framework/images/load.h"

namespace tarflow::images {

// Batch b of a list holds the files b * size ... (b + 1) * size - 1.
struct BatchRange {
  int64_t size = 64;
  // Of all batches: `first`, `first + step`, ...
  int64_t first = 0, step = 1;
};
int64_t batch_count(int64_t files, int64_t size);

struct Batch {
  int64_t index = 0;
  std::vector<int64_t> files;  // their places in the list; unreadable ones are left out
  std::vector<Image> images;
};

// Loads batches in a thread of its own (which has more of them decode) while earlier ones are used,
// kBatchesAhead at most, so that memory does not grow with the list.
inline constexpr size_t kBatchesAhead = 2;

class Batches {
 public:
  // Keeps `files`, which must outlive it. Throws Error for a size below 1.
  Batches(std::span<const ImageFile> files, const LoadOptions& load, const BatchRange& range);

  // The next one, empty where no file of it can be read; nothing at the end. Throws what
  // load_images does, of this range's files.
  std::optional<Batch> next();

  // Of this range, in list order; complete once next() has returned nothing.
  const std::vector<UnreadableFile>& unreadable() const { return unreadable_; }

 private:
  void run(const std::stop_token& stop);
  void load(const std::stop_token& stop);
  void hand_over(Batch batch, const std::stop_token& stop);

  const std::span<const ImageFile> files_;
  const LoadOptions load_;
  const BatchRange range_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Batch> waiting_;
  bool ended_ = false;
  std::exception_ptr failure_;
  std::vector<UnreadableFile> unreadable_;
  std::jthread thread_;  // last, so that it ends before what it uses
};

}  // namespace tarflow::images
