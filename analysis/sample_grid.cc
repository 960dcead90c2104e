#include "analysis/sample_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "analysis/speedup_block.h"
#include "framework/core/error.h"
#include "framework/images/grid.h"
#include "framework/images/png.h"

namespace tarflow::analysis {
namespace {

constexpr int kLeastPixels = 96;  // smaller images are enlarged by whole factors to about this

// Points whose images are not another point's too.
std::vector<Point> with_own_images(const std::vector<Point>& points) {
  std::vector<Point> own;
  std::set<const record::Array*> seen;
  for (const Point& point : points) {
    const record::Array* images = point.array(kSampledImages);
    if (images && seen.insert(images).second) own.push_back(point);
  }
  return own;
}

SampleGrid make_grid(std::vector<Point> points, const StrategyNames& names) {
  sort_strategies(points, names);
  const auto settings = [](const Point& p) {
    return std::tuple(p.number("cfg"), p.number("attn_temp"), p.text("compute"), p.text("device"),
                      p.number("num_images"));
  };
  std::stable_sort(points.begin(), points.end(),
                   [&](const Point& a, const Point& b) { return settings(a) < settings(b); });
  // One common name to begin with: what differs among the rows is added to all of them.
  std::vector<std::string> settings_texts(points.size());
  for (const char* column : {"cfg", "attn_temp", "compute", "device", "num_images"}) {
    add_differing(settings_texts, points, column);
  }
  SampleGrid grid;
  for (size_t i = 0; i < std::min(points.size(), kGridRows); ++i) {
    grid.rows.push_back(
        {strategy_name(names, points[i]) + settings_texts[i], points[i].array(kSampledImages)});
  }
  grid.left_out = points.size() - grid.rows.size();
  return grid;
}

void name_grids(std::vector<SampleGrid>& grids) {
  if (grids.size() == 1) {
    grids.front().name = "grid";
    return;
  }
  std::set<std::string> used;
  for (SampleGrid& grid : grids) {
    std::string name = "grid_";
    for (const char c : grid.title) {
      const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
      if (plain || name.back() != '_') name += plain ? c : '_';
    }
    grid.name = name;
    for (int i = 2; !used.insert(grid.name).second; ++i) grid.name = fmt::format("{}_{}", name, i);
  }
}

images::StripRow strip_row(const SampleRow& row) {
  const std::vector<int64_t>& shape = row.images->shape;
  if (shape.size() != 4 || shape[1] != 3 || shape[2] < 1 || shape[3] < 1) {
    throw Error(fmt::format("the images of {} are not of shape (n,3,H,W)", row.label));
  }
  const std::vector<double> values = record::to_doubles(*row.images);
  const std::vector<float> floats(values.begin(), values.end());
  const size_t size = static_cast<size_t>(shape[1] * shape[2] * shape[3]);
  images::StripRow strip{row.label, {}};
  for (int64_t i = 0; i < std::min(shape[0], kGridColumns); ++i) {
    strip.images.push_back(images::to_image({floats.data() + static_cast<size_t>(i) * size, size},
                                            static_cast<int>(shape[3]),
                                            static_cast<int>(shape[2])));
  }
  return strip;
}

}  // namespace

std::vector<SampleGrid> sample_grids(const std::vector<Point>& points) {
  const std::vector<Point> own = with_own_images(points);
  const StrategyNames names = strategy_names(points);
  std::vector<std::string> titles = model_names(own);
  add_differing(titles, own, "seed");
  std::map<std::string, std::vector<Point>> by_title;
  for (size_t i = 0; i < own.size(); ++i) by_title[titles[i]].push_back(own[i]);
  std::vector<SampleGrid> grids;
  for (auto& [title, members] : by_title) {
    grids.push_back(make_grid(std::move(members), names));
    grids.back().title = title;
  }
  name_grids(grids);
  return grids;
}

Picture write_sample_grid(const SampleGrid& grid, const std::filesystem::path& folder) {
  Picture picture;
  picture.file = grid.name + ".png";
  std::vector<images::StripRow> rows;
  size_t columns = 0;
  int width = 0;
  for (const SampleRow& row : grid.rows) {
    rows.push_back(strip_row(row));
    picture.row_labels.push_back(row.label);
    columns = std::max(columns, rows.back().images.size());
    width = std::max(width, static_cast<int>(row.images->shape[3]));
  }
  images::StripOptions options;
  options.zoom = std::max(1, kLeastPixels / std::max(1, width));
  options.padding = 4;
  options.text_scale = 2;
  images::write_png(folder / picture.file, images::strips(rows, {}, options));
  picture.caption = fmt::format(
      "Samples of {}, before self-denoising: strategies below each other, the first {} images side "
      "by "
      "side, each column from the same noise.",
      grid.title, columns);
  if (grid.left_out > 0) {
    picture.caption += fmt::format(" {} more rows are left out.", grid.left_out);
  }
  return picture;
}

}  // namespace tarflow::analysis
