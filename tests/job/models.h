// A model as sweeps state one, whose checkpoint is there.
#pragma once

#include <filesystem>
#include <string>

#include "framework/sweep/sweep.h"

namespace tarflow::job {

inline sweep::Model present_model(const std::string& name,
                                  const std::filesystem::path& checkpoint) {
  sweep::Model model;
  model.name = name;
  model.checkpoint = checkpoint;
  model.present = true;
  model.shape = {32, 4, 128, 8, 2, 10, 0.05};
  return model;
}

}  // namespace tarflow::job
