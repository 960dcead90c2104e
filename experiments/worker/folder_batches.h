// Real images of a folder, batch by batch, as a model takes them: what igm_crm, bpd and the choice
// of initial guesses run forward.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "experiments/worker/dealing.h"
#include "experiments/worker/job_context.h"
#include "experiments/worker/settings.h"
#include "framework/images/batches.h"
#include "framework/model/forward.h"

namespace tarflow::experiments {

struct FolderBatches {
  std::filesystem::path folder;
  std::string layout;              // flat, classes, or "" where the folder leaves no doubt
  int64_t num_images = 0;          // balanced over classes; 0: all
  std::string labels = "none";     // none, or folder: the index of the class folder, sorted by name
  int64_t batch = 64;              // images at once, at most
  int64_t max_unreadable = 0;      // more unreadable files than this end the job
  std::string phase = "forward";   // as progress calls it
  std::string nonfinite = "fail";  // what becomes of images with values that are not finite
};

struct ImageBatch {
  at::Tensor images;             // (n, 3, H, H) float32 in [-1, 1] on the model's device
  Labels labels;                 // n, or empty
  std::vector<int64_t> indices;  // n: in the list of chosen images, unreadable ones counted
};

// On rank 0; 0 on the others.
struct FolderCount {
  int64_t used = 0, unreadable = 0;
  int64_t nonfinite = 0;  // left out by those who count them; not in `used`
};

// images::list_images(). What is left out is said in the log; files of formats that are not read
// are counted in the environment of the record, under `images_not_read`.
images::ImageFolder list_folder(JobContext& context, const std::filesystem::path& folder,
                                const std::string& layout);

// Deals the batches of the chosen images to the ranks: `work` makes what comes of one, and `add`
// gets it on rank 0 in their order. Batches are the same files
// whoever works on them. A few batches and results are in memory at a time. Unreadable files are
// named in the log. Throws Error when the folder has too few images, or its class folders are not
// the model's classes although labels are asked for; Stopped between batches.
FolderCount for_each_batch(JobContext& context, const FolderBatches& wanted, const Model& model,
                           const std::function<Piece(const ImageBatch&)>& work,
                           const std::function<void(const Piece&)>& add);

// The same for listed files as they are decoded. Batches without readable files are passed over.
struct ListedBatches {
  std::span<const images::ImageFile> files;
  images::LoadOptions load;
  int64_t batch = 64;
  std::string phase = "forward";
};
FolderCount for_each_listed(JobContext& context, const ListedBatches& wanted,
                            const std::function<Piece(const images::Batch&)>& work,
                            const std::function<void(const Piece&)>& add);

// The settings `labels` and `batch`, stated once.
void bind_labels(Binder& binder, std::string& labels);
void bind_batch(Binder& binder, int64_t& batch);

}  // namespace tarflow::experiments
