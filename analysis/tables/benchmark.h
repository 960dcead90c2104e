// Times of experiment benchmark, beside what the device allows and what the published code takes.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/published.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// Columns of kinds of kernels, and what they are called.
inline constexpr std::array<std::pair<const char*, const char*>, 7> kKernelKinds{
    {{"share_gemm", "matrix products"},
     {"share_attention", "attention"},
     {"share_norm", "norm"},
     {"share_gelu", "GELU"},
     {"share_update", "update"},
     {"share_copy", "copies"},
     {"share_other", "other"}}};

// By model, the sequential strategy first, then by strategy and batch.
std::vector<Point> neighbours_together(std::vector<Point> points);

// A table a device and compute type, and one of where the time goes. The published code's seconds
// stand beside a point only where device, batch, compute type, model shape and strategy are theirs.
// `published` may be nullptr.
TableSet benchmark_tables(const std::vector<Point>& measured, const Published* published);

// The published code's seconds for what the point measured.
std::optional<double> published_seconds(const Point& point, const Published& published);

}  // namespace tarflow::analysis
