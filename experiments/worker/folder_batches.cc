#include "experiments/worker/folder_batches.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "experiments/worker/reference.h"
#include "framework/core/error.h"
#include "framework/images/folder.h"
#include "framework/images/image.h"
#include "framework/images/load.h"

namespace tarflow::experiments {
namespace fs = std::filesystem;
namespace {

// Labels of .npz files are numbers that need no folders.
void require_numbers(const images::ImageFolder& folder, int64_t classes) {
  const int64_t labels = static_cast<int64_t>(folder.classes.size());
  if (labels == 0) {
    throw Error(
        fmt::format("`labels: folder`: {} holds no labels", folder.root.string()),
        "labels are in `arr_1` beside `arr_0`, or in `labels` beside `data`; or set labels: "
        "none");
  }
  if (labels <= classes) return;
  throw Error(fmt::format("`labels: folder`: {} has the label {}, but the model has {} classes",
                          folder.root.string(), labels - 1, classes),
              "labels go from 0 to the number of classes less 1; or set labels: none");
}

// A model has no names for its classes: only as many folders as classes leave no doubt which is
// which.
void require_classes(const images::ImageFolder& folder, const Model& model) {
  const int64_t folders = static_cast<int64_t>(folder.classes.size()),
                classes = model.shape.classes;
  if (classes == 0) {
    throw Error("`labels: folder` with an unconditional model, which has no labels",
                "set labels: none");
  }
  if (!folder.batches.empty()) {
    require_numbers(folder, classes);
    return;
  }
  if (folders == classes) return;
  throw Error(
      fmt::format("`labels: folder`: {} has {} class folders, but the model has {} classes",
                  folder.root.string(), folders, classes),
      "labels are the places of the class folders in the order of their names, so there must be "
      "one for each class; or set labels: none");
}

// The batch as the model takes it.
ImageBatch prepared(const images::Batch& batch, const std::vector<images::ImageFile>& files,
                    const Model& model, bool labelled) {
  const int64_t side = model.shape.image_size, colours = model.shape.colours,
                pixels = colours * side * side;
  ImageBatch result;
  result.indices = batch.files;
  const at::Tensor floats =
      at::empty({static_cast<int64_t>(batch.images.size()), colours, side, side}, at::kFloat);
  float* to = floats.mutable_data_ptr<float>();
  for (size_t i = 0; i < batch.images.size(); ++i, to += pixels) {
    images::to_floats(batch.images[i], std::span<float>(to, static_cast<size_t>(pixels)));
    if (labelled) result.labels.push_back(files[static_cast<size_t>(batch.files[i])].label);
  }
  result.images = floats.to(model.device);
  return result;
}

// Names of the piece of a batch besides those of the work.
constexpr const char* kImages = "images of the batch";

// Of all ranks, in list order, on rank 0; Error where they are more than each rank allows itself.
std::vector<images::UnreadableFile> all_unreadable(JobContext& context,
                                                   const std::vector<images::UnreadableFile>& own,
                                                   const ListedBatches& wanted) {
  if (context.comm().size() == 1) return own;
  std::map<fs::path, std::string> reasons;
  for (const images::UnreadableFile& file : own) reasons[file.path] = file.reason;
  Json list = Json::array();  // of places in the list and reasons
  for (size_t i = 0; i < wanted.files.size() && !reasons.empty(); ++i) {
    if (const auto found = reasons.find(wanted.files[i].path); found != reasons.end())
      list.push_back({i, found->second});
  }
  std::map<size_t, std::string> found;
  for (const std::string& text :
       context.comm().gather(list.dump(-1, ' ', false, Json::error_handler_t::replace))) {
    for (const Json& file : Json::parse(text))
      found[file.at(0).get<size_t>()] = file.at(1).get<std::string>();
  }
  std::vector<images::UnreadableFile> all;
  for (const auto& [place, reason] : found) all.push_back({wanted.files[place].path, reason});
  images::require_few(all, wanted.load.max_unreadable);
  return all;
}

}  // namespace

images::ImageFolder list_folder(JobContext& context, const fs::path& folder,
                                const std::string& layout) {
  images::ImageFolder listed = images::list_images(folder, images::layout_from(layout));
  for (const std::string& warning : images::warnings_of(listed)) context.log("warning: " + warning);
  if (!listed.unread.empty())
    context.environment()["images_not_read"][folder.string()] = listed.unread;
  return listed;
}

FolderCount for_each_listed(JobContext& context, const ListedBatches& wanted,
                            const std::function<Piece(const images::Batch&)>& work,
                            const std::function<void(const Piece&)>& add) {
  const int64_t total = static_cast<int64_t>(wanted.files.size());
  const int64_t size = std::clamp<int64_t>(wanted.batch, 1, std::max<int64_t>(total, 1));
  Dealing dealing(context.comm(), images::batch_count(total, size));
  images::Batches batches(wanted.files, wanted.load,
                          {.size = size, .first = dealing.first_mine(), .step = dealing.ranks()});
  FolderCount count;
  context.progress(wanted.phase, 0, total);
  const bool done = dealing.run(
      [&](int64_t) {
        const std::optional<images::Batch> batch = batches.next();
        if (!batch || batch->images.empty()) return Piece{};
        Piece piece = work(*batch);
        piece[kImages] = at::full({}, static_cast<int64_t>(batch->images.size()), at::kLong);
        return piece;
      },
      [&](int64_t index, const Piece& piece) {
        if (piece.empty()) return;
        count.used += piece.at(kImages).item<int64_t>();
        add(piece);
        context.progress(wanted.phase, std::min(total, (index + 1) * size), total);
      },
      [&] { return context.stop_requested(); });
  if (!done) context.stop();
  while (batches.next()) continue;  // the last file's fault, if it has one, and the list below
  count.unreadable = log_unreadable(context, all_unreadable(context, batches.unreadable(), wanted));
  return count;
}

namespace {

FolderCount read_batches(JobContext& context, const FolderBatches& wanted, const Model& model,
                         const std::function<Piece(const ImageBatch&)>& work,
                         const std::function<void(const Piece&)>& add) {
  images::ImageFolder listed = list_folder(context, wanted.folder, wanted.layout);
  const bool labelled = wanted.labels == "folder";
  if (labelled) require_classes(listed, model);
  const std::vector<images::ImageFile> files =
      wanted.num_images > 0 ? images::select_balanced(listed, wanted.num_images)
                            : std::move(listed.files);
  ListedBatches batches{files, {}, wanted.batch, wanted.phase};
  batches.load.size = model.shape.image_size;
  batches.load.max_unreadable = wanted.max_unreadable;
  batches.load.threads = at::get_num_threads();
  return for_each_listed(
      context, batches,
      [&](const images::Batch& batch) { return work(prepared(batch, files, model, labelled)); },
      add);
}

}  // namespace

FolderCount for_each_batch(JobContext& context, const FolderBatches& wanted, const Model& model,
                           const std::function<Piece(const ImageBatch&)>& work,
                           const std::function<void(const Piece&)>& add) {
  return context.read_folder(wanted.folder.string(),
                             [&] { return read_batches(context, wanted, model, work, add); });
}

void bind_labels(Binder& binder, std::string& labels) {
  binder.choice(labels,
                {.name = "labels",
                 .description =
                     "none: no labels, as published. folder: the label of an image is the position "
                     "of its class folder in the sorted names; .npz files hold their labels.",
                 .choices = {"none", "folder"}});
}

void bind_batch(Binder& binder, int64_t& batch) {
  binder.integer(
      batch,
      {.name = "batch",
       .description =
           "Images evaluated at once. It does not change the result, because sums are float64.",
       .minimum = 1,
       .identity = Identity::kNone});
}

}  // namespace tarflow::experiments
