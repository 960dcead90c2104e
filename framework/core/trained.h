// What an experiment `train` makes: told by its settings, before it has run.
#pragma once

#include <filesystem>
#include <string>

#include "framework/core/json.h"
#include "framework/core/shape.h"

namespace tarflow {

inline constexpr const char* kTrain = "train";  // the experiment

struct Trained {
  std::string name;              // the setting `name`
  ModelShape shape;              // noise_std is 0 for uniform noise
  bool uniform = false;          // trained with uniform noise
  bool averaged = false;         // a moving average of the weights is kept as well
  std::filesystem::path folder;  // the setting `output`; "" where no file is made beside the job's

  // Files below `folder`: NAME_model_P_C_K_L_EPS.pth, as published, and NAME_ema_model_....pth with
  // the averaged weights.
  std::string file() const;
  std::string averaged_file() const;
};

// settings: of a point, by name, defaults filled in. Throws Error for what is no such settings.
Trained trained(const Json& settings);

}  // namespace tarflow
