// Figures published by others, read from published.yaml.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/shape.h"
#include "framework/core/strategy.h"

namespace tarflow::analysis {

struct PublishedModel {
  std::string name;                 // as the paper calls it: "Img128cond"
  std::string checkpoint;           // file name
  std::string statistics;           // file name of the statistics for its images
  bool has_figures = false;         // else only the names and the shape are known
  std::vector<double> crm_percent;  // (K), percent, checkpoint order
  std::vector<int> dominant;        // blocks printed bold, checkpoint order
  double cfg = 0, self_denoising_lr = 0, attn_temp = 0;
  Strategy strategy;                               // with the published clamp and stop
  double for_time = 0, strategy_time = 0;          // unit not stated
  double for_distance = 0, strategy_distance = 0;  // FID
  double rate = 0;                                 // as printed, not the quotient of the times
  ModelShape shape;                                // noise_std left out
  double for_seconds = 0, strategy_seconds = 0;    // of Published::benchmark_*
};

// What another sampler's authors report.
struct PublishedIterations {
  std::string strategy;  // its name: "SeJD"
  std::string model;     // what they measured on
  std::string source;
  std::vector<std::optional<double>> blocks;  // iterations, sampling order; nothing: sequential
};

struct Published {
  std::string source;    // one line: title, authors, paper, repository
  std::string settings;  // one line: device, images, batch, what the time covers
  int64_t num_images = 0;
  std::string device, compute_type, distance_name, time;
  int64_t crm_images = 0;
  std::string crm_norm;
  // The published code's times for one batch, measured on this device.
  std::string benchmark_device, benchmark_compute;
  int64_t benchmark_batch = 0;
  std::vector<PublishedModel> models;
  std::vector<PublishedIterations> iterations;
};

// Throws Error with the place in the file.
Published read_published(const std::filesystem::path& file);

// share/published.yaml beside the folder of the running program.
std::filesystem::path installed_published_file();

// The model with this checkpoint file name, also as a browser's second copy ("NAME (1).pth");
// folders are ignored. nullptr when there is none.
const PublishedModel* find_model(const Published& published,
                                 const std::filesystem::path& checkpoint);
// The same, or the model of this shape, whatever its noise level, among those with figures.
const PublishedModel* find_figures(const Published& published,
                                   const std::filesystem::path& checkpoint);
const PublishedModel* find_figures(const Published& published, const ModelShape& shape);

}  // namespace tarflow::analysis
