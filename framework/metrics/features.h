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

struct FeatureOptions {
  int64_t batch = 128;  // images the extractor sees at once
  bool flips = false;   // each image is counted mirrored left to right as well
  int64_t keep = 0;     // features to keep: of the first images, unmirrored
};

struct FolderMoments {
  Moments moments;      // 2 samples an image with flips
  at::Tensor features;  // (n, F) float32 on the CPU, n <= keep; undefined when none is kept
  std::vector<images::UnreadableFile> unreadable;  // left out
};

// Images as one batch: (N, 3, height, width) uint8 on the CPU. Throws Error for none or for
// different sizes.
at::Tensor stack(std::span<const images::Image> images);

// Moments of the features of listed images, preprocessed to load.size, in list order; unreadable
// files up to load.max_unreadable are left out and named. Decoding goes on in threads of its own
// while the extractor works, two batches ahead at most, so memory does not grow with the list; sums
// stay on the extractor's device until the end. `after_batch` is told how many images are done;
// what it throws ends the work and is passed on. Throws Error as images::load_images and
// Extractor::features do.
FolderMoments moments_of_files(std::span<const images::ImageFile> files,
                               const images::LoadOptions& load, const Extractor& extractor,
                               const FeatureOptions& options,
                               const std::function<void(int64_t done)>& after_batch = {});

}  // namespace tarflow::metrics
