#include "analysis/images_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/data/points.h"
#include "analysis/data/sources.h"
#include "analysis/show/format.h"
#include "framework/core/error.h"
#include "framework/images/image_set.h"

namespace tarflow::analysis {
namespace {

// Images of a point in its record.
struct Held {
  Point point;
  const record::Array* images = nullptr;  // (n, 3, H, W) float32, or (n, 1, H, W) of grey ones
  bool final = false;                     // after self-denoising
};

std::vector<Held> held_images(const std::vector<Point>& points) {
  std::vector<Held> all;
  for (const Point& point : points) {
    const record::Array* final = point.array("images/final/" + point.id());
    const record::Array* images = final ? final : point.array(kSampledImages);
    if (images && images->shape.size() == 4 && (images->shape[1] == 3 || images->shape[1] == 1))
      all.push_back({point, images, final != nullptr});
  }
  return all;
}

std::string describe(const Held& held) {
  std::string text = fmt::format("{}  {}  {}", held.point.id(), held.point.text("experiment"),
                                 held.point.text("model"));
  for (const char* column : {"strategy", "cfg", "self_denoising_lr", "seed"}) {
    const std::string value = setting_text(held.point, column);
    if (!value.empty()) text += fmt::format("  {} {}", column, value);
  }
  text += fmt::format("  {} {} self-denoising",
                      plural(static_cast<size_t>(held.images->shape[0]), "image"),
                      held.final ? "after" : "before");
  if (const std::string saved = held.point.text("saved_images"); !saved.empty())
    text += fmt::format("  (all final images: {})", saved);
  return text;
}

const Held& chosen(const std::vector<Held>& all, const std::string& point) {
  std::vector<const Held*> found;
  for (const Held& held : all)
    if (held.point.id().starts_with(point)) found.push_back(&held);
  if (found.size() == 1) return *found.front();
  std::string list;
  for (const Held* held : found) list += "\n  " + describe(*held);
  if (all.empty()) {
    throw Error("the record holds no images",
                "experiments sample and evaluate keep some; `save_images: png` in the sweep writes "
                "all of them to files");
  }
  if (found.empty()) {
    throw Error(fmt::format("no point with images has an ID that begins with `{}`", point),
                "without --to the points are listed");
  }
  throw Error(fmt::format("{} points have images:{}", found.size(), list),
              "choose one by the beginning of its ID: --point " + found.front()->point.id());
}

// The finite images as 8 bits, with their indices and, where the record has them, labels.
images::SetPart set_of(const Held& held) {
  const std::vector<int64_t>& shape = held.images->shape;
  const std::vector<double> values = record::to_doubles(*held.images);
  const record::Array* labels = held.point.array("images/labels");
  const std::vector<double> classes = labels ? record::to_doubles(*labels) : std::vector<double>();
  const size_t size = static_cast<size_t>(shape[1] * shape[2] * shape[3]);
  images::SetPart part;
  part.height = static_cast<int>(shape[2]);
  part.width = static_cast<int>(shape[3]);
  for (int64_t i = 0; i < shape[0]; ++i) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(i) * size);
    const std::vector<float> image(begin, begin + static_cast<std::ptrdiff_t>(size));
    if (!std::all_of(image.begin(), image.end(), [](float v) { return std::isfinite(v); }))
      continue;
    const images::Image pixels = images::to_image(image, part.width, part.height);
    part.rgb.insert(part.rgb.end(), pixels.rgb.begin(), pixels.rgb.end());
    part.indices.push_back(i);
    if (static_cast<size_t>(i) < classes.size())
      part.labels.push_back(static_cast<int64_t>(classes[static_cast<size_t>(i)]));
  }
  return part;
}

void write(const Held& held, const std::filesystem::path& to, std::ostream& out) {
  const std::string ending = to.extension().string();
  if (ending == ".png" || ending == ".jpg" || ending == ".jpeg") {
    throw Error(fmt::format("{} names one image, and images go to a folder", to.string()),
                "name a new folder, or FILE.npz");
  }
  const images::SetPart part = set_of(held);
  images::write_set(to, part);
  out << fmt::format("{}: {} of point {}, {} self-denoising{}\n", to.string(),
                     plural(part.indices.size(), "image"), held.point.id(),
                     held.final ? "after" : "before",
                     part.labels.empty() ? "" : ", with their labels");
  if (const size_t left = static_cast<size_t>(held.images->shape[0]) - part.indices.size())
    out << fmt::format("left out, since they are not finite: {}\n", plural(left, "image"));
  if (held.final) return;
  const std::string saved = held.point.text("saved_images");
  out << (saved.empty()
              ? "These are the first images alone. `save_images: png` in the sweep "
                "writes all final images.\n"
              : fmt::format("All final images are in the folder of results: {}\n", saved));
}

}  // namespace

int write_images(const ImagesOptions& options, std::ostream& out, std::ostream& err) {
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources(options.files, problems);
  const std::vector<Held> all = held_images(in_sweep_order(points_of(sources)));
  for (const std::string& problem : problems) err << "analyze: " << problem << "\n";
  if (!options.to.empty()) {
    write(chosen(all, options.point), options.to, out);
  } else {
    size_t listed = 0;
    for (const Held& held : all) {
      if (!held.point.id().starts_with(options.point)) continue;
      out << describe(held) << "\n";
      ++listed;
    }
    if (listed == 0 && problems.empty()) chosen(all, options.point);  // which says why
  }
  return problems.empty() ? 0 : 1;
}

}  // namespace tarflow::analysis
