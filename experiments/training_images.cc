#include "experiments/training_images.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "experiments/worker/folder_batches.h"
#include "experiments/worker/reference.h"
#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/images/load.h"

namespace tarflow::experiments {
namespace {

// Labels are the places of the class folders, so there must be one folder for each class.
void require_classes(const images::ImageFolder& folder, int classes) {
  const auto found = static_cast<int>(folder.classes.size());
  if (classes == 0 || found == classes || (!folder.batches.empty() && found > 0 && found < classes))
    return;
  if (found == 0) {
    throw Error(fmt::format("`classes: {}`, but {} has no labels", classes, folder.root.string()),
                "put the images of each class into a folder of its own, or state `classes: 0` for "
                "an unconditional model");
  }
  throw Error(
      fmt::format("`classes: {}`, but {} has {} classes", classes, folder.root.string(), found),
      fmt::format("state `classes: {}`, or 0 for an unconditional model", found));
}

// All ranks read all images, each for itself.
void require_same_count(JobContext& context, int64_t count) {
  const std::vector<std::string> counts = context.comm().gather(std::to_string(count));
  const bool same = std::all_of(counts.begin(), counts.end(),
                                [&](const std::string& one) { return one == counts.front(); });
  if (!context.comm().any(!same)) return;
  throw Error("the ranks do not read the same number of images",
              "see whether every host reads the folder without errors, and run the same command "
              "again");
}

}  // namespace

TrainingImages::TrainingImages(JobContext& context, const WantedImages& wanted) : wanted_(wanted) {
  images::ImageFolder listed = list_folder(context, wanted.folder, wanted.layout);
  require_classes(listed, wanted.classes);
  files_ = wanted.num_images > 0 ? images::select_balanced(listed, wanted.num_images)
                                 : std::move(listed.files);
  const int64_t bytes = count() * wanted.image_size * wanted.image_size * 3;
  if (bytes <= available_memory() / 2 / context.comm().size()) {
    decode(context);
  } else {
    context.log(fmt::format(
        "{} images take {:.3g} GB as bytes, which do not fit into half of the free memory: each "
        "batch is decoded anew",
        count(), static_cast<double>(bytes) / 1e9));
  }
}

void TrainingImages::decode(JobContext& context) {
  const int64_t side = wanted_.image_size, each = side * side * 3, total = count();
  at::Tensor pixels = at::empty({total, side, side, 3}, at::kByte);
  std::vector<images::ImageFile> readable;
  readable.reserve(files_.size());
  images::LoadOptions load;
  load.size = wanted_.image_size;
  load.max_unreadable = wanted_.max_unreadable;
  load.threads = at::get_num_threads();
  context.prepares();  // else a training would count as nearly done when its images are read
  context.progress("reading images", 0, total);
  const auto faults = images::load_images(files_, load, [&](int64_t index, images::Image image) {
    std::memcpy(pixels.mutable_data_ptr<uint8_t>() + static_cast<int64_t>(readable.size()) * each,
                image.rgb.data(), static_cast<size_t>(each));
    readable.push_back(files_[static_cast<size_t>(index)]);
    if (context.comm().size() == 1) context.stop_if_requested();  // several stop together
    context.progress("reading images", index + 1, total);
  });
  unreadable_ = log_unreadable(context, faults);
  require_same_count(context, static_cast<int64_t>(readable.size()));
  files_ = std::move(readable);
  pixels_ = pixels.slice(0, 0, count());
  context.work_begins();
}

ImageBytes TrainingImages::take(std::span<const uint32_t> places) const {
  const int64_t side = wanted_.image_size, each = side * side * 3;
  ImageBytes batch;
  batch.pixels = at::empty({static_cast<int64_t>(places.size()), side, side, 3}, at::kByte);
  uint8_t* const to = batch.pixels.mutable_data_ptr<uint8_t>();
  std::vector<images::ImageFile> files;
  for (size_t i = 0; i < places.size(); ++i) {
    const images::ImageFile& file = files_[places[i]];
    if (wanted_.classes > 0) batch.labels.push_back(file.label);
    if (in_memory()) {
      std::memcpy(to + static_cast<int64_t>(i) * each,
                  pixels_.const_data_ptr<uint8_t>() + static_cast<int64_t>(places[i]) * each,
                  static_cast<size_t>(each));
    } else {
      files.push_back(file);
    }
  }
  if (files.empty()) return batch;
  images::LoadOptions load;
  load.size = wanted_.image_size;
  images::load_images(files, load, [&](int64_t index, images::Image image) {
    std::memcpy(to + index * each, image.rgb.data(), static_cast<size_t>(each));
  });
  return batch;
}

at::Tensor model_input(const at::Tensor& pixels, const ModelShape& shape,
                       const at::Device& device) {
  at::Tensor values = pixels.to(device).permute({0, 3, 1, 2});
  if (shape.colours == 1) {
    const at::Tensor rgb = values.to(at::kInt);
    values = (rgb.slice(1, 0, 1) * 19595 + rgb.slice(1, 1, 2) * 38470 + rgb.slice(1, 2, 3) * 7471 +
              0x8000)
                 .bitwise_right_shift(16);
  }
  return values.to(at::kFloat, false, /*copy=*/true, at::MemoryFormat::Contiguous) / 255 * 2 - 1;
}

void BatchAhead::begin(std::vector<uint32_t> places) {
  next_ = std::async(std::launch::async,
                     [this, places = std::move(places)] { return images_.take(places); });
}

}  // namespace tarflow::experiments
