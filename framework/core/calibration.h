// What is known of a calibration of the adaptive window without LibTorch (method.md section 7).
#pragma once

#include <cstdint>

namespace tarflow {

// Images that a calibration samples sequentially without guidance; image i has label i mod classes.
inline constexpr int64_t kCalibrationImages = 24;

// Raised when the calibration of a checkpoint becomes another. 2: the device joined its identity.
inline constexpr int kCalibrationVersion = 2;

// In the folder `cache` of a sweep's results: calibration-HASH.h5. The attribute `identity` of its
// root is a map with "version", "checkpoint" (SHA-256), "images", "compute", "device" (its model) and,
// of a file that holds several models, "weights".
inline constexpr const char* kCalibrationFile = "calibration-";

}  // namespace tarflow
