#include "experiments/folder_batches.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "experiments/reference.h"
#include "framework/core/error.h"
#include "framework/images/folder.h"
#include "framework/images/image.h"
#include "framework/images/load.h"

namespace tarflow::experiments {
namespace {

// A model has no names for its classes: only as many folders as classes leave no doubt which is
// which.
void require_classes(const images::ImageFolder& folder, const Model& model) {
  const int64_t folders = static_cast<int64_t>(folder.classes.size()),
                classes = model.shape.classes;
  if (classes == 0) {
    throw Error("`labels: folder` with an unconditional model, which has no labels",
                "set labels: none");
  }
  if (folders == classes) return;
  throw Error(
      fmt::format("`labels: folder`: {} has {} class folders, but the model has {} classes",
                  folder.root.string(), folders, classes),
      "labels are the places of the class folders in the order of their names, so there must be "
      "one for each class; or set labels: none");
}

// Collects images until a batch is full.
class Collector {
 public:
  Collector(const Model& model, const std::vector<images::ImageFile>& files, int64_t size,
            bool labelled)
      : model_(model),
        files_(files),
        side_(model.shape.image_size),
        labelled_(labelled),
        images_(at::empty({size, 3, side_, side_}, at::kFloat)) {}

  void add(int64_t index, const images::Image& image) {
    const int64_t pixels = 3 * side_ * side_;
    float* at = images_.mutable_data_ptr<float>() + filled() * pixels;
    images::to_floats(image, std::span<float>(at, static_cast<size_t>(pixels)));
    batch_.indices.push_back(index);
    if (labelled_) batch_.labels.push_back(files_[static_cast<size_t>(index)].label);
  }

  int64_t filled() const { return static_cast<int64_t>(batch_.indices.size()); }
  bool full() const { return filled() == images_.size(0); }

  // The images so far; the next ones go into their memory.
  ImageBatch take() {
    batch_.images = images_.slice(0, 0, filled()).to(model_.device);
    return std::exchange(batch_, ImageBatch{});
  }

 private:
  const Model& model_;
  const std::vector<images::ImageFile>& files_;
  const int64_t side_;
  const bool labelled_;
  at::Tensor images_;
  ImageBatch batch_;
};

}  // namespace

FolderCount for_each_batch(JobContext& context, const FolderBatches& wanted, const Model& model,
                           const std::function<void(const ImageBatch&)>& use) {
  images::ImageFolder listed = images::list_images(wanted.folder);
  const bool labelled = wanted.labels == "folder";
  if (labelled) require_classes(listed, model);
  const std::vector<images::ImageFile> files =
      wanted.num_images > 0 ? images::select_balanced(listed, wanted.num_images)
                            : std::move(listed.files);
  const int64_t total = static_cast<int64_t>(files.size());
  images::LoadOptions load;
  load.size = model.shape.image_size;
  load.max_unreadable = wanted.max_unreadable;
  load.threads = at::get_num_threads();
  Collector collector(model, files, std::min(wanted.batch, total), labelled);
  FolderCount count;
  const auto flush = [&] {
    if (collector.filled() == 0) return;
    count.used += collector.filled();
    use(collector.take());
    context.progress(wanted.phase, count.used, total);
    if (count.used < total) context.stop_if_requested();
  };
  context.progress(wanted.phase, 0, total);
  const auto unreadable = images::load_images(files, load, [&](int64_t index, images::Image image) {
    collector.add(index, image);
    if (collector.full()) flush();
  });
  flush();
  count.unreadable = log_unreadable(context, unreadable);
  return count;
}

void bind_labels(Binder& binder, std::string& labels) {
  binder.choice(
      labels,
      {.name = "labels",
       .description = "none: forward without labels, as published. folder: each image with the "
                      "label of its class folder, its place in the order of their names.",
       .choices = {"none", "folder"}});
}

void bind_batch(Binder& binder, int64_t& batch) {
  binder.integer(
      batch, {.name = "batch",
              .description =
                  "Images run at once; sums are kept in float64, so it does not change the result.",
              .minimum = 1,
              .identity = Identity::kNone});
}

}  // namespace tarflow::experiments
