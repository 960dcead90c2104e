// What is known of tunings without LibTorch (docs/tuning.md).
#pragma once

#include <cstdint>

namespace tarflow {

// Raised when a tuning measures or chooses in another way.
inline constexpr int kTuningVersion = 2;

// In the folder `cache` of a sweep's results: tuning-HASH.h5. The attribute `identity` of the root
// is a map with "version", "checkpoint" (SHA-256), "compute", "device" (its model), "threads" (0 on
// a GPU), "batch", "fitting" (images of the batch that memory holds at once), "cfg", "attn_temp",
// "deviation", "rise" (null where the deviation is the bound) and, of a file that holds several
// models, "weights". A tuning that was stopped has a file of its own; its identity has "part" as well.
inline constexpr const char* kTuningFile = "tuning-";

// Images that deviations are a median over, at least: smaller batches are measured several times.
inline constexpr int64_t kTuningImages = 8;
// Of these, images whose deviations are followed through the blocks that come after.
inline constexpr int64_t kTuningProbes = 32;

// Passes over all tokens and blocks that a tuning takes, about, for each image that it measures:
// for the plan alone.
inline constexpr double kTuningPasses = 120;

}  // namespace tarflow
