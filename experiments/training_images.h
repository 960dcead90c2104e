// The images of a training, as bytes: decoded once and kept in memory where they fit, else decoded
// for each batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "framework/images/folder.h"
#include "framework/model/forward.h"

namespace tarflow::experiments {

struct WantedImages {
  std::string folder, layout;
  int image_size = 0;
  int classes = 0;             // 0: labels are not looked at
  int64_t num_images = 0;      // balanced over classes; 0: all
  int64_t max_unreadable = 0;  // more unreadable files than this end the job
};

// Images (n, H, W, 3) uint8 on the CPU.
struct ImageBytes {
  at::Tensor pixels;
  Labels labels;  // n; empty without classes
};

class TrainingImages {
 public:
  // Lists the images, and decodes all of them if they take at most half of the memory that the
  // machine has free, divided by the number of ranks. Names unreadable files in the log.
  // Throws Error when they are too many, when the folder has no images, and when its classes are
  // not as many as `classes`.
  TrainingImages(JobContext& context, const WantedImages& wanted);

  int64_t count() const { return static_cast<int64_t>(files_.size()); }
  bool in_memory() const { return pixels_.defined(); }
  int64_t unreadable() const { return unreadable_; }

  // The images of these places in the list. Throws Error for one that cannot be decoded.
  ImageBytes take(std::span<const uint32_t> places) const;

 private:
  void decode(JobContext& context);

  WantedImages wanted_;
  std::vector<images::ImageFile> files_;
  at::Tensor pixels_;  // of all files, if they fit
  int64_t unreadable_ = 0;
};

// Bytes as a model takes them: (n, colours, H, W) float32 in [-1, 1], v/255*2-1, on the device. One
// colour is the luma of images::to_floats.
at::Tensor model_input(const at::Tensor& pixels, const ModelShape& shape, const at::Device& device);

// Takes the next batch while this one is used.
class BatchAhead {
 public:
  explicit BatchAhead(const TrainingImages& images) : images_(images) {}

  // Begins to take these.
  void begin(std::vector<uint32_t> places);
  // What was begun.
  ImageBytes take() { return next_.get(); }
  bool begun() const { return next_.valid(); }

 private:
  const TrainingImages& images_;
  std::future<ImageBytes> next_;
};

}  // namespace tarflow::experiments
