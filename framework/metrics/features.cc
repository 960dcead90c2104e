#include "framework/metrics/features.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "framework/core/error.h"

namespace tarflow::metrics {
namespace {

constexpr size_t kAhead = 2;  // batches decoded but not yet used

// Batches of a list's images, made by a thread of their own (which has more of them decode) while
// the last ones are used.
class Batches {
 public:
  Batches(std::span<const images::ImageFile> files, const images::LoadOptions& load, int64_t batch)
      : thread_([=, this](std::stop_token stop) { run(files, load, batch, stop); }) {}

  // The next one; nothing at the end. Passes on what ended the loading.
  std::optional<at::Tensor> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty() || ended_; });
    if (waiting_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      return std::nullopt;
    }
    at::Tensor batch = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return batch;
  }

  // Once next() has returned nothing.
  std::vector<images::UnreadableFile> unreadable() { return std::move(unreadable_); }

 private:
  struct NoLongerWanted {};

  void run(std::span<const images::ImageFile> files, const images::LoadOptions& load, int64_t batch,
           const std::stop_token& stop) {
    std::exception_ptr failure;
    std::vector<images::UnreadableFile> unreadable;
    try {
      std::vector<images::Image> images;
      unreadable = images::load_images(files, load, [&](int64_t, images::Image image) {
        images.push_back(std::move(image));
        if (static_cast<int64_t>(images.size()) < batch) return;
        hand_over(stack(images), stop);
        images.clear();
      });
      if (!images.empty()) hand_over(stack(images), stop);
    } catch (const NoLongerWanted&) {
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    unreadable_ = std::move(unreadable);
    ended_ = true;
    changed_.notify_all();
  }

  void hand_over(at::Tensor batch, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return waiting_.size() < kAhead; }))
      throw NoLongerWanted{};
    waiting_.push_back(std::move(batch));
    lock.unlock();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<at::Tensor> waiting_;
  bool ended_ = false;
  std::exception_ptr failure_;
  std::vector<images::UnreadableFile> unreadable_;
  std::jthread thread_;  // last, so that it ends before what it uses
};

// Moments that stay where the features are: (F, F) sums are not copied for every batch.
class DeviceSums {
 public:
  void add(const at::Tensor& features) {
    const at::Tensor f = features.detach().to(at::kDouble);
    const at::Tensor sum = f.sum(0), outer = f.t().matmul(f);
    count_ += f.size(0);
    if (sum_.defined()) {
      sum_.add_(sum);
      outer_.add_(outer);
    } else {
      sum_ = sum;
      outer_ = outer;
    }
  }
  Moments moments() const {
    return count_ == 0 ? Moments{} : Moments{count_, sum_.cpu(), outer_.cpu()};
  }

 private:
  int64_t count_ = 0;
  at::Tensor sum_, outer_;
};

}  // namespace

at::Tensor stack(std::span<const images::Image> images) {
  if (images.empty()) throw Error("there are no images to stack");
  const int64_t n = static_cast<int64_t>(images.size()), height = images[0].height,
                width = images[0].width;
  at::Tensor pixels = at::empty({n, height, width, 3}, at::kByte);
  for (int64_t i = 0; i < n; ++i) {
    const images::Image& image = images[i];
    if (image.height != height || image.width != width) {
      throw Error(fmt::format("images of {} x {} and {} x {} pixels cannot be one batch", width,
                              height, image.width, image.height));
    }
    std::copy(image.rgb.begin(), image.rgb.end(), pixels[i].mutable_data_ptr<uint8_t>());
  }
  return pixels.permute({0, 3, 1, 2}).contiguous();
}

FolderMoments moments_of_files(std::span<const images::ImageFile> files,
                               const images::LoadOptions& load, const Extractor& extractor,
                               const FeatureOptions& options,
                               const std::function<void(int64_t done)>& after_batch) {
  if (options.batch < 1) throw Error(fmt::format("a batch cannot hold {} images", options.batch));
  FolderMoments result;
  DeviceSums sums;
  std::vector<at::Tensor> kept;
  int64_t done = 0, keep = options.keep;
  Batches batches(files, load, options.batch);
  while (const std::optional<at::Tensor> images = batches.next()) {
    const at::Tensor features = extractor.features(*images);
    sums.add(features);
    if (keep > 0) kept.push_back(features.slice(0, 0, keep).to(at::kCPU, at::kFloat));
    keep -= features.size(0);
    if (options.flips) sums.add(extractor.features(images->flip(3)));
    done += images->size(0);
    if (after_batch) after_batch(done);
  }
  result.moments = sums.moments();
  if (!kept.empty()) result.features = at::cat(kept);
  result.unreadable = batches.unreadable();
  return result;
}

}  // namespace tarflow::metrics
