// All final images of a job's points in files (`save_images`): written chunk by chunk, by each rank
// its own, while the next chunk is sampled.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "experiments/worker/job_context.h"
#include "experiments/worker/sampling_job.h"
#include "framework/images/image_set.h"
#include "framework/job/saved_images.h"

namespace tarflow::experiments {

// Runs tasks one after another in a thread of its own.
class BackgroundTasks {
 public:
  BackgroundTasks() = default;
  ~BackgroundTasks();  // tasks that have not begun are dropped
  BackgroundTasks(const BackgroundTasks&) = delete;
  BackgroundTasks& operator=(const BackgroundTasks&) = delete;

  // Waits while kMostWaiting tasks wait. Throws what an earlier task threw.
  void add(std::function<void()> task);
  // Waits until all tasks have ended but the last `but` of them. Throws what one of them threw.
  void wait(size_t but = 0);

 private:
  static constexpr size_t kMostWaiting = 4;  // so many chunks of images are in memory

  void work();
  void rethrow();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool busy_ = false, ending_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

void bind_save_images(Binder& binder, std::string& format);

class SavedImages {
 public:
  // `format`: of the setting. `sets`: the points of the job that have the same images, set by set.
  SavedImages(JobContext& context, const std::string& format,
              std::vector<std::vector<size_t>> sets);

  bool wanted() const { return !sets_.empty(); }
  // On rank 0, before any rank adds: removes what an earlier run left, unless `done` chunks are
  // done and all their images are on the disk. False when they are not.
  bool begin(int64_t done);
  // The finite rows of a chunk, (n, 3, H, W) in [-1, 1] on any device, to the 8 bits that distances
  // see (metrics::to_uint8). `finite` (N) says which images of the chunk they are.
  void add(size_t set, const Chunk& chunk, const at::Tensor& images, const at::Tensor& finite,
           const Labels& labels);
  // Waits until all that was added is on the disk.
  void flush() { tasks_.wait(); }
  // Waits until all that was added before the last call is on the disk, which it likely is already.
  void settle();
  // Waits until all but the last chunk is on the disk, likewise. Of a job in one process.
  void settle_but_last_chunk() { tasks_.wait(sets_.size()); }
  // On rank 0, when all ranks have flushed: puts `chunks` chunks together and sets the column
  // saved_images.
  void finish(int64_t chunks);

 private:
  struct Set {
    std::vector<size_t> points;
    images::ImageSet files;
  };

  JobContext& context_;
  images::SetFormat format_ = images::SetFormat::kPng;
  std::filesystem::path folder_;
  std::vector<Set> sets_;
  BackgroundTasks tasks_;
  size_t unsettled_ = 0;  // tasks since the last settle()
};

Column saved_images_column();

}  // namespace tarflow::experiments
