// Questions that run_sweep, which has no LibTorch, asks before it runs anything.
#pragma once

#include <filesystem>

#include "framework/core/json.h"

namespace tarflow::experiments {

// {"features": F, "sha256": hash of the file}, from one image of image_size pixels a side on the
// CPU. Throws Error as Extractor does.
Json probe_extractor(const std::filesystem::path& file, int image_size);

// {"device", "device_model", "compute", "gemm_flops": FLOP/s, "seconds"}: what matrix products of
// TarFlow's linear layers reach on the device that `device: auto` picks, in the type that
// `compute_type: auto` picks. Takes about a second.
Json measure_rate();

}  // namespace tarflow::experiments
