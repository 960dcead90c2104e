// Statistics of real images that samples are compared with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "framework/images/load.h"
#include "framework/metrics/extractor.h"
#include "framework/metrics/frechet.h"

namespace tarflow::experiments {

// The extractor that a setting names, on the job's device, tried on images of this side
// (Extractor::try_on). Throws Error.
metrics::Extractor load_extractor(JobContext& context, const std::filesystem::path& path,
                                  metrics::Precision precision, int64_t image_size);

// Names each file in the job's log; returns how many there are.
int64_t log_unreadable(JobContext& context, const std::vector<images::UnreadableFile>& files);

// What samples are compared with.
struct Reference {
  metrics::Gaussian gaussian;  // its count is 0 when the source does not say how many images it saw
  at::Tensor features;         // (n, F) float32 on the CPU; undefined when the source has none
  std::string source;          // the file or folder, for messages and records
};

// Features a source keeps for distances that need single ones (KID, precision and recall).
inline constexpr int64_t kKeptFeatures = 10000;

// Which images of a folder, and how they are prepared.
struct FolderImages {
  std::filesystem::path folder;
  std::string layout;                     // flat, classes, or "" where the folder leaves no doubt
  int image_size = 0;                     // side they are resized and cropped to, pixels
  int64_t num_images = 0;                 // balanced over classes; 0: all
  int64_t max_unreadable = 0;             // more unreadable files than this end the job
  bool flips = false;                     // each image counted mirrored as well
  int64_t keep_features = kKeptFeatures;  // of the first images; 0: none
  std::string nonfinite = "fail";         // what becomes of images whose features are not finite
  std::string nonfinite_repair = "";      // said where they fail the job; "": the usual one
};

// On rank 0; nothing on the others.
struct FolderStatistics {
  metrics::Gaussian gaussian;
  at::Tensor features;     // (n, F) float32 on the CPU; undefined when none are kept
  int64_t images = 0;      // read and used
  int64_t unreadable = 0;  // left out, named in the log
  int64_t nonfinite = 0;   // left out because a feature is not finite
};

// The features of a folder's images, streamed; all ranks of the job work on them.
FolderStatistics folder_statistics(JobContext& context, const FolderImages& wanted,
                                   const metrics::Extractor& extractor);

// A statistics file of ours: datasets mu (F), sigma (F, F), count (samples), images, and features
// (n, F) where there are any; as its identity the extractor's name, the SHA-256 of its file and of
// its weights, what it does to an image, the resize before it, and whether images were mirrored.
void write_statistics(const std::filesystem::path& file, const FolderStatistics& statistics,
                      const FolderImages& wanted, const metrics::Extractor& extractor);

// What samples are compared with, from one of
// - a folder of images or of .npz batches of images, or one such .npz, whose features are computed
//   once and kept under the results' cache;
// - a file of fid_stats, of this or an earlier version: extractor (file or weights) and resize must
//   be those of this job;
// - a *_fid_stats.pth of torchmetrics: when it holds an Inception, its weights must be the
//   extractor's;
// - an .npz with mu and sigma, which names neither extractor nor images.
// The last two do not name their resize, which the log says. All ranks of the job call it; those
// but the first are given the mean alone of what is computed or kept. Throws Error naming both
// values where a file was made with another extractor, resize or number of features.
Reference load_reference(JobContext& context, const std::filesystem::path& path,
                         const std::string& layout, const metrics::Extractor& extractor,
                         int image_size);

}  // namespace tarflow::experiments
