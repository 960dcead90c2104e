#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "analysis/page/sample_grid.h"
#include "analysis/page/strips.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kMostRows = 24;

// The first images of a point after self-denoising.
std::vector<images::Image> final_images(const Point& point, std::vector<std::string>& problems) {
  std::vector<images::Image> result;
  const record::Array* array = array_or_problem(point, "images/final/" + point.id(), problems);
  if (!array || array->shape.size() != 4) return result;
  const int64_t colours = array->shape[1];
  if (colours != 3 && colours != 1) return result;
  const std::vector<double> values = record::to_doubles(*array);
  const size_t size = static_cast<size_t>(colours * array->shape[2] * array->shape[3]);
  const int64_t count = std::min(array->shape[0], kGridColumns);
  for (int64_t i = 0; i < count; ++i) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * size);
    const std::vector<float> image(begin, begin + static_cast<std::ptrdiff_t>(size));
    result.push_back(images::to_image(image, static_cast<int>(array->shape[3]),
                                      static_cast<int>(array->shape[2])));
  }
  return result;
}

// "class 3" of each of the first images; {} where the record holds no labels.
std::vector<std::string> class_headings(const Point& point, std::vector<std::string>& problems) {
  std::vector<std::string> headings;
  const record::Array* labels = array_or_problem(point, "images/labels", problems);
  if (!labels) return headings;
  for (const double label : record::to_doubles(*labels)) {
    if (static_cast<int64_t>(headings.size()) == kGridColumns) break;
    headings.push_back(fmt::format("class {:.0f}", label));
  }
  return headings;
}

}  // namespace

std::vector<Strips> sample_strips(const std::vector<Point>& points,
                                  std::vector<std::string>& problems) {
  std::map<std::string, std::vector<Point>> models;
  const std::vector<std::string> names = model_names(points);
  for (size_t i = 0; i < points.size(); ++i) models[names[i]].push_back(points[i]);
  std::vector<Strips> all;
  for (const auto& [model, own] : models) {
    const std::vector<std::string> labels =
        distinct_names(own, {"strategy", "cfg", "attn_temp", "self_denoising_lr", "seed"});
    Strips strips;
    strips.name = file_name("sample_" + model);
    strips.headings = class_headings(own.front(), problems);
    for (size_t i = 0; i < own.size() && strips.rows.size() < kMostRows; ++i) {
      std::vector<images::Image> images = final_images(own[i], problems);
      if (images.empty()) continue;
      if (class_headings(own[i], problems) != strips.headings ||
          strips.headings.size() != images.size())
        strips.headings.clear();
      strips.rows.push_back({labels[i], std::move(images)});
    }
    if (strips.rows.empty()) continue;
    strips.caption = fmt::format(
        "The first samples of {} after self-denoising. One row per point. Columns have the same "
        "noise where rows have the same seed.",
        model);
    if (own.size() > strips.rows.size()) {
      strips.caption +=
          fmt::format(" {} more points are left out.", own.size() - strips.rows.size());
    }
    all.push_back(std::move(strips));
  }
  return all;
}

}  // namespace tarflow::analysis
