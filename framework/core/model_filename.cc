#include "framework/core/model_filename.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <regex>

namespace tarflow {
namespace {

constexpr size_t kLongestName = 255;  // bytes a file system allows; std::regex recurses by length

// The whole of `text` as a number.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Cuts the text behind the last '_' off.
std::string_view pop_field(std::string_view& name) {
  const size_t cut = name.rfind('_');
  if (cut == std::string_view::npos) return {};
  const std::string_view field = name.substr(cut + 1);
  name.remove_suffix(name.size() - cut);
  return field;
}

// "0.07", and "0.07-1", which Safari writes for a second download.
std::optional<double> parse_noise_std(std::string_view field) {
  if (const auto number = parse_number<double>(field)) return number;
  return parse_number<double>(field.substr(0, field.rfind('-')));
}

}  // namespace

std::optional<std::string> model_stem(const std::filesystem::path& file) {
  static const std::regex pattern(
      R"((.*?)(?:(?: ?\(\d+\)| - Copy| copy(?: \d+)?)*\.(?:pth|pt|safetensors))+(?: ?\(\d+\)|\.\d+)?)",
      std::regex::icase);
  const std::string name = file.filename().string();
  std::smatch parts;
  if (name.size() > kLongestName || !std::regex_match(name, parts, pattern)) return std::nullopt;
  return parts[1].str();
}

std::optional<ModelFileName> parse_model_filename(const std::filesystem::path& file) {
  const auto stem = model_stem(file);
  if (!stem) return std::nullopt;
  std::string_view rest = *stem;
  const std::string_view noise = pop_field(rest);
  const bool uniform = noise == "uniform";
  const auto noise_std = uniform ? std::optional(0.0) : parse_noise_std(noise);
  const auto layers = parse_number<int>(pop_field(rest));
  const auto blocks = parse_number<int>(pop_field(rest));
  const auto channels = parse_number<int>(pop_field(rest));
  const auto patch_size = parse_number<int>(pop_field(rest));
  if (!noise_std || !layers || !blocks || !channels || !patch_size || rest.empty())
    return std::nullopt;
  if (!std::isfinite(*noise_std) || *noise_std < 0) return std::nullopt;
  if (*layers <= 0 || *blocks <= 0 || *channels <= 0 || *patch_size <= 0) return std::nullopt;
  if (rest.ends_with("_model")) rest.remove_suffix(std::string_view("_model").size());
  return ModelFileName{std::string(rest), *patch_size, *channels, *blocks,
                       *layers,           *noise_std,  uniform};
}

std::string published_filename(const std::string& dataset, const ModelShape& shape, bool uniform) {
  std::string noise = fmt::format("{:.2f}", shape.noise_std);
  if (parse_number<double>(noise) != shape.noise_std) noise = fmt::format("{}", shape.noise_std);
  return fmt::format("{}_model_{}_{}_{}_{}_{}.pth", dataset, shape.patch_size, shape.channels,
                     shape.blocks, shape.layers, uniform ? "uniform" : noise);
}

std::vector<std::string> name_contradictions(const ModelFileName& name, const ModelShape& shape,
                                             std::string_view other) {
  std::vector<std::string> list;
  const auto compare = [&](const char* part, auto named, auto found) {
    if (named == found) return;
    list.push_back(fmt::format("{}: {} by its name, {} by {}", part, named, found, other));
  };
  compare("patch_size", name.patch_size, shape.patch_size);
  compare("channels", name.channels, shape.channels);
  compare("blocks", name.blocks, shape.blocks);
  compare("layers", name.layers, shape.layers);
  if (shape.noise_std > 0) compare("noise_std", name.noise_std, shape.noise_std);
  return list;
}

}  // namespace tarflow
