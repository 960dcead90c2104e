#include "analysis/data/published.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "analysis/show/format.h"
#include "framework/core/error.h"
#include "framework/core/model_filename.h"
#include "framework/core/share.h"

namespace tarflow::analysis {
namespace {

Strategy strategy_from_lists(const YAML::Node& model) {
  Strategy strategy;
  strategy.name = model["strategy"].as<std::string>();
  const auto segments = model["num_GS_list"].as<std::vector<int>>();
  const auto iterations = model["max_jacobi_list"].as<std::vector<int>>();
  const auto guesses = model["guess_list"].as<std::vector<int>>();
  if (iterations.size() != segments.size() || guesses.size() != segments.size()) {
    throw YAML::Exception(model.Mark(), "the three lists of a strategy differ in length");
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    strategy.blocks.push_back(
        published_plan(segments[i], iterations[i], guesses[i] == 0 ? Guess::kZ : Guess::kZero));
  }
  return strategy;
}

ModelShape shape_from_yaml(const YAML::Node& node) {
  ModelShape shape;
  shape.image_size = node["image_size"].as<int>();
  shape.patch_size = node["patch_size"].as<int>();
  shape.channels = node["channels"].as<int>();
  shape.blocks = node["blocks"].as<int>();
  shape.layers = node["layers"].as<int>();
  shape.classes = node["classes"].as<int>();
  return shape;
}

PublishedModel model_from_yaml(const YAML::Node& node) {
  PublishedModel model;
  model.name = node["name"].as<std::string>();
  model.checkpoint = node["checkpoint"].as<std::string>();
  model.statistics = node["statistics"].as<std::string>();
  model.shape = shape_from_yaml(node["shape"]);
  model.has_figures = node["strategy"].IsDefined();
  if (!model.has_figures) return model;
  model.crm_percent = node["crm_percent"].as<std::vector<double>>();
  model.dominant = node["dominant"].as<std::vector<int>>();
  model.cfg = node["cfg"].as<double>();
  model.self_denoising_lr = node["self_denoising_lr"].as<double>();
  model.attn_temp = node["attn_temp"].as<double>();
  model.strategy = strategy_from_lists(node);
  model.for_time = node["for_time"].as<double>();
  model.strategy_time = node["strategy_time"].as<double>();
  model.for_distance = node["for_distance"].as<double>();
  model.strategy_distance = node["strategy_distance"].as<double>();
  model.rate = node["rate"].as<double>();
  model.for_seconds = node["benchmark"]["for_seconds"].as<double>();
  model.strategy_seconds = node["benchmark"]["strategy_seconds"].as<double>();
  if (model.crm_percent.size() != model.strategy.blocks.size()) {
    throw YAML::Exception(node.Mark(),
                          "crm_percent and the strategy differ in the number of blocks");
  }
  return model;
}

PublishedIterations iterations_from_yaml(const YAML::Node& node) {
  PublishedIterations iterations;
  iterations.strategy = node["strategy"].as<std::string>();
  iterations.model = node["model"].as<std::string>();
  iterations.source = node["source"].as<std::string>();
  for (const YAML::Node& block : node["iterations"])
    iterations.blocks.push_back(block.IsNull() ? std::optional<double>()
                                               : std::optional(block.as<double>()));
  return iterations;
}

Published from_yaml(const YAML::Node& root) {
  Published published;
  const YAML::Node source = root["source"], speed_up = root["speed_up"], crm = root["crm"];
  published.source = fmt::format(
      "{}: {}, {}; {}", source["authors"].as<std::string>(), source["title"].as<std::string>(),
      source["paper"].as<std::string>(), source["repository"].as<std::string>());
  published.device = speed_up["device"].as<std::string>();
  published.num_images = speed_up["num_images"].as<int64_t>();
  published.compute_type = speed_up["compute_type"].as<std::string>();
  published.distance_name = speed_up["distance_name"].as<std::string>();
  published.time = speed_up["time"].as<std::string>();
  published.settings = fmt::format("{}, {} images, batch {}, {}, labels {}", published.device,
                                   count_text(static_cast<double>(published.num_images)),
                                   count_text(speed_up["batch"].as<double>()),
                                   published.compute_type, speed_up["labels"].as<std::string>());
  const YAML::Node benchmark = root["benchmark"];
  published.benchmark_device = benchmark["device"].as<std::string>();
  published.benchmark_compute = benchmark["compute_type"].as<std::string>();
  published.benchmark_batch = benchmark["batch"].as<int64_t>();
  published.crm_norm = crm["norm"].as<std::string>();
  published.crm_images = crm["num_images"].as<int64_t>();
  for (const YAML::Node& model : root["models"]) published.models.push_back(model_from_yaml(model));
  for (const YAML::Node& rival : root["iterations"])
    published.iterations.push_back(iterations_from_yaml(rival));
  return published;
}

}  // namespace

Published read_published(const std::filesystem::path& file) {
  try {
    return from_yaml(YAML::LoadFile(file.string()));
  } catch (const YAML::BadFile&) {
    throw Error("the file of published figures cannot be read",
                "name it with --published, or build again to install it", {file.string()});
  } catch (const YAML::Exception& failure) {
    throw Error("not a file of published figures: " + failure.msg,
                "compare with analysis/data/published.yaml",
                {file.string(), failure.mark.line + 1, failure.mark.column + 1});
  }
}

std::filesystem::path installed_published_file() {
  return share_folder(program_folder()) / "published.yaml";
}

const PublishedModel* find_model(const Published& published,
                                 const std::filesystem::path& checkpoint) {
  const auto stem = model_stem(checkpoint);
  for (const PublishedModel& model : published.models) {
    if (stem && stem == model_stem(model.checkpoint)) return &model;
  }
  return nullptr;
}

const PublishedModel* find_figures(const Published& published,
                                   const std::filesystem::path& checkpoint) {
  const PublishedModel* model = find_model(published, checkpoint);
  return model && model->has_figures ? model : nullptr;
}

const PublishedModel* find_figures(const Published& published, const ModelShape& shape) {
  for (const PublishedModel& model : published.models) {
    ModelShape stated = model.shape;
    stated.noise_std = shape.noise_std;
    if (model.has_figures && stated == shape) return &model;
  }
  return nullptr;
}

}  // namespace tarflow::analysis
