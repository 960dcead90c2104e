#include "experiments/worker/saved_images.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "framework/metrics/extractor.h"

namespace tarflow::experiments {

BackgroundTasks::~BackgroundTasks() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BackgroundTasks::rethrow() {
  if (failure_) std::rethrow_exception(failure_);
}

void BackgroundTasks::add(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.wait(lock, [&] { return failure_ || waiting_.size() < kMostWaiting; });
  rethrow();
  waiting_.push_back(std::move(task));
  changed_.notify_all();
}

void BackgroundTasks::wait(size_t but) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || waiting_.size() + (busy_ ? 1 : 0) <= but; });
  rethrow();
}

void BackgroundTasks::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    const std::function<void()> task = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      task();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    busy_ = false;
    if (failure) {
      failure_ = failure;
      waiting_.clear();
    }
    changed_.notify_all();
  }
}

void bind_save_images(Binder& binder, std::string& format) {
  binder.choice(
      format,
      {.name = job::kSaveImages,
       .description =
           "Whether all final images are written to files in the job's folder, and how. png: a "
           "folder of PNG files with labels.csv. npz: one file with arr_0 (N, H, W, 3) and, for a "
           "conditional model, labels in arr_1 (N), as the ADM suite reads them; while it is made "
           "it takes twice its size. The column saved_images says where they are. Points that are "
           "done without it are sampled again.",
       .choices = {job::kNoImages, "png", "npz"},
       .identity = Identity::kNone});
}

SavedImages::SavedImages(JobContext& context, const std::string& format,
                         std::vector<std::vector<size_t>> sets)
    : context_(context), folder_(context.folder() / job::kImagesFolder) {
  if (format == job::kNoImages) return;
  format_ = images::set_format_from(format);
  for (std::vector<size_t>& points : sets) {
    const std::string name = context.point_id(points.front());
    sets_.push_back({std::move(points), images::ImageSet(folder_, name, format_)});
  }
}

bool SavedImages::begin(int64_t done) {
  for (const Set& set : sets_) {
    for (int64_t chunk = 0; chunk < done; ++chunk) {
      if (!set.files.whole() && !set.files.has_part(chunk)) return false;
    }
  }
  if (done > 0) return true;
  for (const Set& set : sets_) {
    for (const size_t point : set.points)
      images::ImageSet(folder_, context_.point_id(point), format_).clear();
  }
  return true;
}

void SavedImages::add(size_t set, const Chunk& chunk, const at::Tensor& images,
                      const at::Tensor& finite, const Labels& labels) {
  if (!wanted()) return;
  const at::Tensor pixels =
      metrics::to_uint8(images).permute({0, 2, 3, 1}).contiguous().to(at::kCPU);
  images::SetPart part;
  part.height = static_cast<int>(pixels.size(1));
  part.width = static_cast<int>(pixels.size(2));
  const uint8_t* begin = pixels.const_data_ptr<uint8_t>();
  part.rgb.assign(begin, begin + pixels.numel());
  for (int64_t i = 0; i < chunk.count; ++i) {
    if (!finite.const_data_ptr<bool>()[i]) continue;
    part.indices.push_back(chunk.first + i);
    if (!labels.empty()) part.labels.push_back(labels[static_cast<size_t>(i)]);
  }
  ++unsettled_;
  tasks_.add([files = sets_[set].files, number = chunk.index, part = std::move(part)] {
    files.write_part(number, part);
  });
}

void SavedImages::settle() {
  tasks_.wait(unsettled_);
  unsettled_ = 0;
}

void SavedImages::finish(int64_t chunks) {
  flush();
  for (const Set& set : sets_) {
    if (!set.files.whole()) set.files.finish(chunks);
    const std::string path =
        fmt::format("{}/jobs/{}/{}/{}", context_.job().sweep, context_.job().hash,
                    job::kImagesFolder, set.files.path().filename().string());
    context_.log(fmt::format("all images: {}", set.files.path().string()));
    for (const size_t point : set.points) {
      context_.set(point, saved_images_column().name, path);
      if (point == set.points.front()) continue;
      images::ImageSet(folder_, context_.point_id(point), format_).refer_to(set.files);
    }
  }
}

Column saved_images_column() {
  return {"saved_images", ColumnType::kString, "",
          "all final images in 8 bits, from the folder of results on; \"\" where they were not "
          "saved",
          true};
}

}  // namespace tarflow::experiments
