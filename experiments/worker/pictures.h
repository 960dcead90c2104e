// Samples as pictures: in PNG files in a job's folder, and as arrays.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "framework/core/strategy.h"
#include "framework/images/grid.h"
#include "framework/images/image.h"

namespace tarflow::experiments {

// (N, 3, H, W) in [-1, 1] of any device: clipped as samples are (images::to_image).
std::vector<images::Image> pictures_of(const at::Tensor& images);

// Pictures of one size one after another, (n, H, W, 3) uint8.
at::Tensor pixels_of(std::span<const images::Image> pictures);

// Zoom, text and padding with which strips of images of this side can be looked at.
images::StripOptions strip_options(int side);

// A label a strategy: its name, and what it does where names repeat.
std::vector<std::string> strategy_labels(const std::vector<Strategy>& strategies);

// Writes the PNG into the job's folder, says so in the log, and returns its path from the folder of
// results on: "demo/jobs/HASH/NAME".
std::string write_picture(JobContext& context, const std::string& name, const images::Image& image);

// The column with that path.
Column picture_column(const std::string& what);

}  // namespace tarflow::experiments
