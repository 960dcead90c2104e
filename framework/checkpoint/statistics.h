// Statistics of image features in the formats of other programs: the state dict of torchmetrics'
// FrechetInceptionDistance (*_fid_stats.pth) and NumPy's .npz with `mu` and `sigma`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace tarflow::checkpoint {

enum class StatisticsKind { kOther, kTorchmetrics, kNumpy };

// Decided by the file's first bytes, not its name. kOther for HDF5 and whatever is neither.
StatisticsKind statistics_kind(const std::filesystem::path& path);

struct FeatureStatistics {
  std::vector<double> mean;        // (F)
  std::vector<double> covariance;  // (F, F) row-major, unbiased
  int64_t count = 0;               // images; 0 when the file does not say, as .npz does not
};

// F alone, without the covariance. Throws Error as read_statistics does.
int64_t statistics_width(const std::filesystem::path& path);

// torchmetrics keeps sums: real_features_sum (F), real_features_cov_sum (F, F) = sum of f f^T, and
// real_features_num_samples; mean and covariance follow as in method.md section 4. In .npz they are
// `mu` and `sigma`, float64 or float32. Throws Error naming the file and what is missing, of
// another shape or not finite.
FeatureStatistics read_statistics(const std::filesystem::path& path);

}  // namespace tarflow::checkpoint
