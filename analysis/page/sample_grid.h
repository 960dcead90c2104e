// The sample grid: strategies below each other, the same noise in each column.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

struct SampleRow {
  std::string label;
  const record::Array* images = nullptr;  // (n,3,H,W) before self-denoising
  const record::Array* exact = nullptr;   // For's from the same noise; nullptr: none, or it is For
};

// Rows of one model and seed.
struct SampleGrid {
  std::string name;             // of the file, without ".png"
  std::string title;            // the model, and the seed where grids of one model differ in it
  std::vector<SampleRow> rows;  // sorted by settings, then as in the speed-up tables
  size_t left_out = 0;          // rows beyond kGridRows
};

inline constexpr int kLeastPixels =
    96;  // smaller images are enlarged by whole factors to about this
inline constexpr int64_t kGridColumns = 8;  // images a row at most
inline constexpr size_t kGridRows = 64;     // rows at most; a larger picture shows nothing

// One grid a model and seed, of all points of experiment evaluate that kept images; points that
// share their sampling share a row. A single grid is named "grid", several "grid_<model>". Here and
// in strips.h `problems` tells which arrays cannot be read; their points are left out.
std::vector<SampleGrid> sample_grids(const std::vector<Point>& points,
                                     std::vector<std::string>& problems);

// Writes folder/<name>.png. Throws Error naming it.
Picture write_sample_grid(const SampleGrid& grid, const std::filesystem::path& folder);

inline constexpr float kAmplification = 2;  // of differences in pictures

// Whether any row has images to be compared with.
bool has_differences(const SampleGrid& grid);
// Writes folder/<name>_difference.png: of each such row its difference from For's images, grey
// where there is none. Throws Error naming it.
Picture write_difference_grid(const SampleGrid& grid, const std::filesystem::path& folder);

}  // namespace tarflow::analysis
