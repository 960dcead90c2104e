// Statistics of real images that samples are compared with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/job_context.h"
#include "framework/images/load.h"
#include "framework/metrics/extractor.h"
#include "framework/metrics/frechet.h"

namespace tarflow::experiments {

// Names each file in the job's log; returns how many there are.
int64_t log_unreadable(JobContext& context, const std::vector<images::UnreadableFile>& files);

// Which images of a folder, and how they are prepared.
struct FolderImages {
  std::filesystem::path folder;
  int image_size = 0;          // side they are resized and cropped to, pixels
  int64_t num_images = 0;      // balanced over classes; 0: all
  int64_t max_unreadable = 0;  // more unreadable files than this end the job
};

// What samples are compared with.
struct Reference {
  metrics::Gaussian gaussian;  // its count is 0 when the source does not say how many images it saw
  at::Tensor features;         // (n, F) float32 on the CPU; undefined when the source has none
  std::string source;          // the file or folder, for messages and records
};

// Their features as a Gaussian; unreadable files are named in the log and counted in `unreadable`.
metrics::Gaussian folder_statistics(JobContext& context, const FolderImages& images,
                                    const metrics::Extractor& extractor, int64_t* unreadable);

// A statistics file: datasets mu (F), sigma (F, F), count, with the extractor and the resize as its
// identity.
void write_statistics(const std::filesystem::path& file, const metrics::Gaussian& gaussian,
                      const metrics::Extractor& extractor, int image_size);

// A statistics file, or a folder of images, whose features are computed once and kept under the
// results' cache. Throws Error when a file was made with another extractor, resize or number of
// features.
Reference load_reference(JobContext& context, const std::filesystem::path& path,
                         const metrics::Extractor& extractor, int image_size);

}  // namespace tarflow::experiments
