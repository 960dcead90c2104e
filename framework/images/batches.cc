#include "framework/images/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/core/error.h"

namespace tarflow::images {
namespace {

struct NoLongerWanted {};

BatchRange checked(const BatchRange& range) {
  if (range.size < 1) throw Error(fmt::format("a batch cannot hold {} images", range.size));
  return range;
}

}  // namespace

int64_t batch_count(int64_t files, int64_t size) { return (files + size - 1) / size; }

Batches::Batches(std::span<const ImageFile> files, const LoadOptions& load, const BatchRange& range)
    : files_(files),
      load_(load),
      range_(checked(range)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

std::optional<Batch> Batches::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !waiting_.empty() || ended_; });
  if (waiting_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    return std::nullopt;
  }
  Batch batch = std::move(waiting_.front());
  waiting_.pop_front();
  lock.unlock();
  changed_.notify_all();
  return batch;
}

void Batches::run(const std::stop_token& stop) {
  std::exception_ptr failure;
  try {
    load(stop);
  } catch (const NoLongerWanted&) {
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  ended_ = true;
  changed_.notify_all();
}

void Batches::load(const std::stop_token& stop) {
  const int64_t total = static_cast<int64_t>(files_.size());
  const int64_t count = batch_count(total, range_.size);
  std::vector<ImageFile> mine;  // of all batches of the range, one after another
  std::vector<int64_t> places;
  for (int64_t b = range_.first; b < count; b += range_.step) {
    for (int64_t i = b * range_.size; i < std::min(total, (b + 1) * range_.size); ++i) {
      mine.push_back(files_[static_cast<size_t>(i)]);
      places.push_back(i);
    }
  }
  Batch batch;
  batch.index = range_.first;
  const auto hand_over_before = [&](int64_t index) {
    while (batch.index < index) {
      const int64_t after = batch.index + range_.step;
      hand_over(std::exchange(batch, Batch{after, {}, {}}), stop);
    }
  };
  std::vector<UnreadableFile> unreadable =
      load_images(mine, load_, [&](int64_t index, Image image) {
        const int64_t place = places[static_cast<size_t>(index)];
        hand_over_before(place / range_.size);
        batch.files.push_back(place);
        batch.images.push_back(std::move(image));
        const bool full = place + 1 == std::min(total, (batch.index + 1) * range_.size);
        if (full) hand_over_before(batch.index + 1);
      });
  unreadable_ = std::move(unreadable);
  hand_over_before(count);
}

void Batches::hand_over(Batch batch, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait(lock, stop, [&] { return waiting_.size() < kBatchesAhead; }))
    throw NoLongerWanted{};
  waiting_.push_back(std::move(batch));
  lock.unlock();
  changed_.notify_all();
}

}  // namespace tarflow::images
