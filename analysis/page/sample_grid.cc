#include "analysis/page/sample_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "analysis/tables/speedup_block.h"
#include "framework/core/error.h"
#include "framework/images/grid.h"
#include "framework/images/png.h"

namespace tarflow::analysis {
namespace {

// Points whose images are not another point's too.
std::vector<Point> with_own_images(const std::vector<Point>& points,
                                   std::vector<std::string>& problems) {
  std::vector<Point> own;
  std::set<const record::Array*> seen;
  for (const Point& point : points) {
    const record::Array* images = array_or_problem(point, kSampledImages, problems);
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
  const Point* exact = nullptr;  // sequential ones stand first in each setting
  for (size_t i = 0; i < std::min(points.size(), kGridRows); ++i) {
    if (exact && settings(*exact) != settings(points[i])) exact = nullptr;
    grid.rows.push_back({strategy_name(names, points[i]) + settings_texts[i],
                         points[i].array(kSampledImages),
                         exact ? exact->array(kSampledImages) : nullptr});
    if (!exact && is_sequential(points[i])) exact = &points[i];
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

// The values of the first images, at most kGridColumns.
std::vector<float> first_values(const record::Array& images, const std::string& label) {
  const std::vector<int64_t>& shape = images.shape;
  const bool whole = shape.size() == 4 && (shape[1] == 3 || shape[1] == 1);
  if (!whole || shape[2] < 1 || shape[3] < 1) {
    throw Error(fmt::format("the images of {} are not of shape (n,3,H,W) or (n,1,H,W)", label));
  }
  const std::vector<double> values = record::to_doubles(images);
  const int64_t count = std::min(shape[0], kGridColumns) * shape[1] * shape[2] * shape[3];
  return {values.begin(), values.begin() + count};
}

images::StripRow strip_of(const std::string& label, const std::vector<float>& values,
                          const std::vector<int64_t>& shape) {
  const size_t size = static_cast<size_t>(shape[1] * shape[2] * shape[3]);
  images::StripRow strip{label, {}};
  for (size_t begin = 0; begin + size <= values.size(); begin += size) {
    strip.images.push_back(images::to_image(
        {values.data() + begin, size}, static_cast<int>(shape[3]), static_cast<int>(shape[2])));
  }
  return strip;
}

images::StripRow strip_row(const SampleRow& row) {
  return strip_of(row.label, first_values(*row.images, row.label), row.images->shape);
}

images::StripRow difference_row(const SampleRow& row) {
  std::vector<float> values = first_values(*row.images, row.label);
  const std::vector<float> exact = first_values(*row.exact, row.label);
  const auto& shape = row.images->shape;
  if (!std::equal(shape.begin() + 1, shape.end(), row.exact->shape.begin() + 1))
    throw Error(fmt::format("the images of {} are of another size than For's", row.label));
  values.resize(std::min(values.size(), exact.size()));
  const auto seen = [](float value) { return std::clamp(value, -1.0f, 1.0f); };
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = kAmplification * (seen(values[i]) - seen(exact[i]));
  return strip_of(row.label, values, shape);
}

// Writes the rows and says so in `picture`; returns the number of columns.
size_t write_rows(const std::vector<images::StripRow>& rows, const std::filesystem::path& folder,
                  Picture& picture) {
  size_t columns = 0;
  int width = 1;
  for (const images::StripRow& row : rows) {
    picture.row_labels.push_back(row.label);
    columns = std::max(columns, row.images.size());
    for (const images::Image& image : row.images) width = std::max(width, image.width);
  }
  images::StripOptions options;
  options.zoom = std::max(1, kLeastPixels / width);
  options.padding = 4;
  options.text_scale = 2;
  images::write_png(folder / picture.file, images::strips(rows, {}, options));
  return columns;
}

}  // namespace

std::vector<SampleGrid> sample_grids(const std::vector<Point>& points,
                                     std::vector<std::string>& problems) {
  const std::vector<Point> own = with_own_images(points, problems);
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
  picture.title = "Samples of " + grid.title;
  std::vector<images::StripRow> rows;
  for (const SampleRow& row : grid.rows) rows.push_back(strip_row(row));
  const size_t columns = write_rows(rows, folder, picture);
  picture.caption = fmt::format(
      "The first {} images of each strategy, before self-denoising. One row per strategy; a column "
      "has the same noise in every row.",
      columns);
  if (grid.left_out > 0) {
    picture.caption += fmt::format(" {} more rows are left out.", grid.left_out);
  }
  return picture;
}

bool has_differences(const SampleGrid& grid) {
  return std::any_of(grid.rows.begin(), grid.rows.end(),
                     [](const SampleRow& row) { return row.exact != nullptr; });
}

Picture write_difference_grid(const SampleGrid& grid, const std::filesystem::path& folder) {
  Picture picture;
  picture.file = grid.name + "_difference.png";
  picture.title = fmt::format("Samples of {}: differences from For", grid.title);
  picture.folded = true;
  std::vector<images::StripRow> rows;
  for (const SampleRow& row : grid.rows) {
    if (row.exact) rows.push_back(difference_row(row));
  }
  write_rows(rows, folder, picture);
  picture.caption = fmt::format(
      "Differences from For's samples, {:g} times enlarged. Grey: no difference. Rows and columns "
      "are "
      "those of the samples.",
      kAmplification);
  return picture;
}

}  // namespace tarflow::analysis
