// Settings that belong to a setting which names a folder of images.
#pragma once

#include <string_view>

#include "framework/core/strategy.h"

namespace tarflow {

inline constexpr const char* kLayout = "layout";
inline constexpr const char* kGuessLayout = "guess_layout";

// The setting that says how the folder which `field` names is laid out.
inline const char* layout_setting_of(std::string_view field) {
  return field == kGuessImages ? kGuessLayout : kLayout;
}

}  // namespace tarflow
