// Features of image folders, streamed in batches.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "framework/images/folder.h"
#include "framework/images/load.h"
#include "framework/metrics/extractor.h"
#include "framework/metrics/frechet.h"

namespace tarflow::metrics {

struct FolderMoments {
  Moments moments;
  std::vector<images::UnreadableFile> unreadable;  // left out
};

// Images as one batch: (N, 3, height, width) uint8 on the CPU. Throws Error for none or for
// different sizes.
at::Tensor stack(std::span<const images::Image> images);

// Moments of the features of listed images, preprocessed to load.size, `batch` images at a time, in
// list order; unreadable files up to load.max_unreadable are left out and named. `after_batch` is
// told how many images are done; what it throws ends the work and is passed on. Throws Error as
// images::load_images and Extractor::features do.
FolderMoments moments_of_files(std::span<const images::ImageFile> files,
                               const images::LoadOptions& load, const Extractor& extractor,
                               int64_t batch,
                               const std::function<void(int64_t done)>& after_batch = {});

}  // namespace tarflow::metrics
