#include "analysis/page/strips.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "analysis/page/sample_grid.h"
#include "framework/images/png.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kMostRows = 64;

// Images (count, row, column, channel) of bytes that begin at the array's `first` image; {} where
// the array is of another kind.
std::vector<images::Image> images_of(const record::Array* array, size_t axes, int64_t most) {
  std::vector<images::Image> result;
  if (!array || array->type != record::ArrayType::kUInt8 || array->shape.size() != axes ||
      array->shape.back() != 3)
    return result;
  const int64_t height = array->shape[axes - 3], width = array->shape[axes - 2];
  const size_t bytes = static_cast<size_t>(3 * height * width);
  const int64_t count = std::min(array->shape[axes - 4], most);
  for (int64_t i = 0; i < count; ++i) {
    images::Image image = images::blank(static_cast<int>(width), static_cast<int>(height), {});
    std::memcpy(image.rgb.data(), array->data.data() + static_cast<size_t>(i) * bytes, bytes);
    result.push_back(std::move(image));
  }
  return result;
}

// Points that were computed together, in their order.
std::map<std::string, std::vector<Point>> by_job(const std::vector<Point>& points) {
  std::map<std::string, std::vector<Point>> jobs;
  for (const Point& point : points) {
    const std::string origin = point.origin();
    jobs[origin.substr(0, origin.rfind('/'))].push_back(point);
  }
  return jobs;
}

std::string sampled(const Point& point) {
  return fmt::format("{}, cfg {}, seed {}", point.text("model"), setting_text(point, "cfg"),
                     setting_text(point, "seed"));
}

// Numbers names that are not distinct.
void add(std::vector<Strips>& all, Strips strips) {
  if (strips.rows.empty()) return;
  const std::string name = strips.name;
  const auto taken = [&](const Strips& other) { return other.name == strips.name; };
  for (int i = 2; std::any_of(all.begin(), all.end(), taken); ++i)
    strips.name = fmt::format("{}_{}", name, i);
  all.push_back(std::move(strips));
}

}  // namespace

std::vector<Strips> trace_strips(const std::vector<Point>& points,
                                 std::vector<std::string>& problems) {
  std::vector<Strips> all;
  for (const auto& [job, own] : by_job(points)) {
    const Point& first = own.front();
    Strips strips;
    strips.name = file_name("trace_" + sampled(first));
    strips.caption = fmt::format(
        "Sampling of {}, from noise (left) through each block to the image (right). One row per "
        "strategy. Each state is scaled to its own range.",
        sampled(first));
    if (const record::Array* states = array_or_problem(first, "trace/states", problems))
      strips.headings = states->strings;
    for (const Point& point : own) {
      const record::Array* array =
          array_or_problem(point, "trace/" + point.id() + "/images", problems);
      auto images = images_of(array, 5, array && array->shape.size() == 5 ? array->shape[1] : 0);
      if (images.empty() || strips.rows.size() >= kMostRows) continue;
      if (strips.headings.size() != images.size()) strips.headings.clear();
      strips.rows.push_back({point.text("strategy"), std::move(images)});
    }
    add(all, std::move(strips));
  }
  return all;
}

std::vector<Strips> compare_strips(const std::vector<Point>& points,
                                   std::vector<std::string>& problems) {
  std::vector<Strips> all;
  for (const auto& [job, own] : by_job(points)) {
    const Point& first = own.front();
    const std::string against = first.text("against").empty() ? "For" : first.text("against");
    Strips strips;
    strips.name = file_name("compare_" + sampled(first));
    strips.caption = fmt::format(
        "Samples of {} by {} and by other strategies from the same noise, and their differences, "
        "{} times enlarged. Grey: no difference.",
        sampled(first), against, setting_text(first, "amplification"));
    const record::Array* exact = array_or_problem(first, "compare/against", problems);
    if (auto images = images_of(exact, 4, kGridColumns); !images.empty())
      strips.rows.push_back({against, std::move(images)});
    for (const Point& point : own) {
      const std::string folder = "compare/" + point.id() + "/";
      for (const auto& [array, label] : {std::pair("images", ""), std::pair("difference", " - ")}) {
        auto images = images_of(array_or_problem(point, folder + array, problems), 4, kGridColumns);
        if (images.empty() || strips.rows.size() >= kMostRows) continue;
        const std::string name = point.text("strategy");
        strips.rows.push_back({*label ? name + label + against : name, std::move(images)});
      }
    }
    add(all, std::move(strips));
  }
  return all;
}

Picture write_strips(const Strips& strips, const std::filesystem::path& folder) {
  Picture picture{strips.name + ".png", strips.caption, {}};
  int width = 1;
  for (const images::StripRow& row : strips.rows) {
    picture.row_labels.push_back(row.label);
    for (const images::Image& image : row.images) width = std::max(width, image.width);
  }
  images::StripOptions options;
  options.zoom = std::max(1, kLeastPixels / width);
  options.padding = 4;
  options.text_scale = 2;
  images::write_png(folder / picture.file, images::strips(strips.rows, strips.headings, options));
  return picture;
}

}  // namespace tarflow::analysis
