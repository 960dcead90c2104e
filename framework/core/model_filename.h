// What the file name of a published TarFlow states: DATASET_model_P_C_K_L_EPS.pth, EPS a noise level
// or "uniform".
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/shape.h"

namespace tarflow {

// P, C, K, L and the noise level, as a file name states them.
struct ModelFileName {
  std::string dataset;
  int patch_size = 0, channels = 0, blocks = 0, layers = 0;
  double noise_std = 0;
  bool uniform = false;  // "uniform" stands in the place of the noise level

  bool operator==(const ModelFileName&) const = default;
};

// The name without folder and without its ending: .pth, .pt or .safetensors. Marks that browsers
// and file managers add to a second copy are left out too: "x (1).pth", "x(1).pth", "x - Copy.pth",
// "x.pth.1". Nothing for other endings.
std::optional<std::string> model_stem(const std::filesystem::path& file);

// "_model" may be left out. Nothing for a name of another pattern or ending.
std::optional<ModelFileName> parse_model_filename(const std::filesystem::path& file);

// The name under which the published code saves a model: DATASET_model_P_C_K_L_EPS.pth, EPS with
// two decimals, or all that it has where two do not tell it; "uniform" for uniform noise.
std::string published_filename(const std::string& dataset, const ModelShape& shape, bool uniform);

// One text for each part of the shape in which the name differs: "blocks: 3 by its name, 2 by its
// tensors". `other` says where `shape` is from. The noise level is compared where the shape has
// one.
std::vector<std::string> name_contradictions(const ModelFileName& name, const ModelShape& shape,
                                             std::string_view other);

}  // namespace tarflow
