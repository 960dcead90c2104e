#include "experiments/worker/pictures.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "framework/images/png.h"

namespace tarflow::experiments {
namespace {

constexpr int kLeastPixels = 96;  // smaller images are enlarged by whole factors to about this

}  // namespace

std::vector<images::Image> pictures_of(const at::Tensor& images) {
  const at::Tensor values = images.cpu().contiguous();
  std::vector<images::Image> pictures;
  for (int64_t i = 0; i < values.size(0); ++i) {
    const at::Tensor image = values[i];
    pictures.push_back(
        images::to_image({image.const_data_ptr<float>(), static_cast<size_t>(image.numel())},
                         static_cast<int>(values.size(3)), static_cast<int>(values.size(2))));
  }
  return pictures;
}

at::Tensor pixels_of(std::span<const images::Image> pictures) {
  const int64_t height = pictures.front().height, width = pictures.front().width;
  const at::Tensor pixels =
      at::empty({static_cast<int64_t>(pictures.size()), height, width, 3}, at::kByte);
  uint8_t* at = pixels.mutable_data_ptr<uint8_t>();
  for (const images::Image& picture : pictures)
    at = std::copy(picture.rgb.begin(), picture.rgb.end(), at);
  return pixels;
}

images::StripOptions strip_options(int side) {
  images::StripOptions options;
  options.zoom = std::max(1, kLeastPixels / side);
  options.padding = 4;
  options.text_scale = 2;
  return options;
}

std::vector<std::string> strategy_labels(const std::vector<Strategy>& strategies) {
  std::vector<std::string> labels;
  for (const Strategy& strategy : strategies) {
    const auto same_name = [&](const Strategy& other) { return other.name == strategy.name; };
    const bool repeats = std::count_if(strategies.begin(), strategies.end(), same_name) > 1;
    labels.push_back(repeats ? fmt::format("{} ({})", strategy.name, describe(strategy))
                             : strategy.name);
  }
  return labels;
}

std::string write_picture(JobContext& context, const std::string& name,
                          const images::Image& image) {
  images::write_png(context.folder() / name, image);
  context.log(fmt::format("picture: {}", (context.folder() / name).string()));
  return fmt::format("{}/jobs/{}/{}", context.job().sweep, context.job().hash, name);
}

Column picture_column(const std::string& what) {
  return {"picture", ColumnType::kString, "", what + ", from the folder of results on"};
}

}  // namespace tarflow::experiments
