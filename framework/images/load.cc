#include "framework/images/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/images/batch_file.h"
#include "framework/images/decode.h"
#include "framework/images/resize.h"

namespace tarflow::images {
namespace {

constexpr int64_t kAheadPerThread = 4;  // images decoded but not yet used
constexpr size_t kNamed = 20;           // unreadable files that an error names; the rest is counted

// One image between the thread that decodes it and the one that uses it.
struct Slot {
  bool ready = false;
  std::optional<Image> image;
  std::string unreadable;    // why there is no image
  std::exception_ptr error;  // anything that is not the file's fault
};

// `row`: the image where it is a row of an .npz file, which has been read.
Slot decode_slot(const ImageFile& file, const std::optional<Image>& row, int size) {
  Slot slot;
  slot.ready = true;
  try {
    slot.image = preprocess(row ? *row : read_image(file.path), size);
  } catch (const Error& error) {
    slot.unreadable = error.problems().front().what;
  } catch (...) {
    slot.error = std::current_exception();
  }
  return slot;
}

// Decoding threads that fill a ring of slots in list order; stopped and joined with the value.
class Decoders {
 public:
  Decoders(std::span<const ImageFile> files, int size, int threads)
      : files_(files), size_(size), ring_(static_cast<size_t>(kAheadPerThread) * threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this](std::stop_token stop) { run(stop); });
    }
  }

  ~Decoders() {
    for (std::jthread& thread : threads_) thread.request_stop();  // all, before any is joined
  }

  // The next slot in list order.
  Slot take() {
    std::unique_lock lock(mutex_);
    Slot& slot = ring_[used_ % ring_.size()];
    changed_.wait(lock, [&] { return slot.ready; });
    ++used_;
    Slot taken = std::exchange(slot, Slot{});
    lock.unlock();
    changed_.notify_all();
    return taken;
  }

 private:
  void run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (next_ < files_.size()) {
      // Room in the ring, or all files taken by other threads.
      const auto ready = [&] { return next_ < used_ + ring_.size() || next_ == files_.size(); };
      changed_.wait(lock, stop, ready);
      if (stop.stop_requested() || next_ == files_.size()) return;
      const size_t index = next_++;
      Slot slot;
      try {
        // In list order, so under the lock: compressed arrays are unpacked from front to back.
        const std::optional<Image> row = row_of(files_[index]);
        lock.unlock();
        slot = decode_slot(files_[index], row, size_);
        lock.lock();
      } catch (...) {
        // A damaged .npz file is no file that may be left out: it holds many images.
        slot.ready = true;
        slot.error = std::current_exception();
      }
      ring_[index % ring_.size()] = std::move(slot);
      changed_.notify_all();
    }
  }

  std::optional<Image> row_of(const ImageFile& file) {
    if (file.row < 0) return std::nullopt;
    return rows_.read(file.path, file.row);
  }

  std::span<const ImageFile> files_;
  int size_;
  BatchReader rows_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<Slot> ring_;
  size_t next_ = 0;                    // to decode
  size_t used_ = 0;                    // taken
  std::vector<std::jthread> threads_;  // last, so that they end before what they use
};

int thread_count(int asked, size_t files) {
  const int cores = usable_cores();
  return static_cast<int>(std::min<size_t>(asked > 0 ? asked : cores, std::max<size_t>(files, 1)));
}

}  // namespace

void require_few(const std::vector<UnreadableFile>& unreadable, int64_t allowed) {
  if (static_cast<int64_t>(unreadable.size()) <= allowed) return;
  std::vector<Problem> problems(std::min(unreadable.size(), kNamed));
  for (size_t i = 0; i < problems.size(); ++i) problems[i].what = unreadable[i].reason;
  Problem& count = problems.emplace_back();
  count.what = fmt::format("{} image files cannot be read, and at most {} may be left out",
                           unreadable.size(), allowed);
  count.repair = "repair or remove the files, or raise max_unreadable";
  throw Error(std::move(problems));
}

std::vector<UnreadableFile> load_images(std::span<const ImageFile> files,
                                        const LoadOptions& options, const UseImage& use) {
  if (options.size <= 0)
    throw Error(fmt::format("images cannot be made {} pixels wide", options.size));
  std::vector<UnreadableFile> unreadable;
  Decoders decoders(files, options.size, thread_count(options.threads, files.size()));
  for (size_t i = 0; i < files.size(); ++i) {
    Slot slot = decoders.take();
    if (slot.error) std::rethrow_exception(slot.error);
    if (slot.image) {
      use(static_cast<int64_t>(i), std::move(*slot.image));
      continue;
    }
    unreadable.push_back({files[i].path, slot.unreadable});
    require_few(unreadable, options.max_unreadable);
  }
  return unreadable;
}

}  // namespace tarflow::images
