#include "framework/core/trained.h"

#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/core/model_filename.h"

namespace tarflow {

std::string Trained::file() const { return published_filename(name, shape, uniform); }

std::string Trained::averaged_file() const {
  return published_filename(name + "_ema", shape, uniform);
}

Trained trained(const Json& settings) {
  try {
    Trained trained;
    trained.name = settings.at("name").get<std::string>();
    trained.folder = settings.value("output", std::string());
    trained.uniform = settings.value("noise", std::string()) == "uniform";
    trained.averaged = settings.value("ema", 0.0) > 0;
    trained.shape.image_size = settings.at("image_size").get<int>();
    trained.shape.patch_size = settings.at("patch_size").get<int>();
    trained.shape.channels = settings.at("channels").get<int>();
    trained.shape.blocks = settings.at("blocks").get<int>();
    trained.shape.layers = settings.at("layers").get<int>();
    trained.shape.classes = settings.value("classes", 0);
    trained.shape.colours = settings.value("colours", 3);
    trained.shape.volume_preserving = settings.value("volume_preserving", false);
    if (!trained.uniform) trained.shape.noise_std = settings.value("noise_std", 0.0);
    return trained;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not the settings of a training: {}", failure.what()));
  }
}

}  // namespace tarflow
