#include "framework/training/batches.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "framework/core/error.h"
#include "framework/tensor/philox.h"

namespace tarflow::training {

std::vector<uint32_t> epoch_order(uint64_t seed, int64_t epoch, int64_t images) {
  std::vector<uint32_t> order(static_cast<size_t>(images));
  std::iota(order.begin(), order.end(), 0u);
  // Fisher and Yates from the end. 64 random bits make the bias of the multiplication smaller than
  // images / 2^64.
  for (size_t last = order.size(); last-- > 1;) {
    const Random4 random =
        philox4x32(seed, static_cast<uint64_t>(epoch), static_cast<uint32_t>(last), Stream::kOrder);
    const uint64_t bits = (uint64_t{random.word[0]} << 32) | random.word[1];
    const auto other =
        static_cast<size_t>((static_cast<unsigned __int128>(bits) * (last + 1)) >> 64);
    std::swap(order[last], order[other]);
  }
  return order;
}

Order::Order(uint64_t seed, int64_t images, int64_t batch)
    : seed_(seed), images_(images), batch_(batch) {
  if (batch < 1 || images < batch) {
    throw Error(
        fmt::format("a batch of {} images needs at least as many; there are {}", batch, images),
        "state a smaller `batch` or more images");
  }
}

std::vector<uint32_t> Order::images_of(int64_t first, int64_t count) {
  const int64_t an_epoch = steps_per_epoch() * batch_, epoch = first / an_epoch,
                place = first % an_epoch;
  if (epoch != epoch_) {
    order_ = epoch_order(seed_, epoch, images_);
    epoch_ = epoch;
  }
  const auto begin = order_.begin() + place;
  return {begin, begin + count};
}

Draws draws_of(uint64_t seed, int64_t first, int64_t count, double drop_label) {
  Draws draws;
  for (int64_t i = first; i < first + count; ++i) {
    const Random4 random = philox4x32(seed, static_cast<uint64_t>(i), 0, Stream::kTrainingDraws);
    draws.flipped.push_back(random.word[0] >> 31);
    draws.dropped.push_back(random.word[1] * 0x1p-32 < drop_label);
  }
  return draws;
}

Labels dropped_labels(Labels labels, const std::vector<uint8_t>& dropped) {
  for (size_t i = 0; i < labels.size(); ++i)
    if (dropped[i]) labels[i] = -1;
  return labels;
}

at::Tensor flipped_images(const at::Tensor& images, const std::vector<uint8_t>& flipped) {
  const at::Tensor mask =
      at::tensor(flipped, at::kByte).to(images.device(), at::kBool).view({-1, 1, 1, 1});
  return at::where(mask, images.flip(3), images);
}

at::Tensor noisy_images(const at::Tensor& images, const at::Tensor& noise, ImageNoise kind,
                        double noise_std) {
  const at::Tensor shaped = noise.view(images.sizes());
  if (kind == ImageNoise::kNormal) return images + shaped * noise_std;
  // The levels are whole numbers again: rounding undoes what v/255*2-1 did in float32.
  return (((images + 1) * 127.5).round() + shaped) / 128 - 1;
}

}  // namespace tarflow::training
