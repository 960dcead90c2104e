#include "framework/checkpoint/untrained.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/writer.h"
#include "framework/core/error.h"
#include "framework/core/model_filename.h"

namespace tarflow::checkpoint {
namespace {

// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection whose outputs look random.
uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// Output `counter` of the SplitMix64 stream that begins at `stream`.
uint64_t random_bits(uint64_t stream, uint64_t counter) {
  return mix(stream + (counter + 1) * 0x9e3779b97f4a7c15);
}

// In [-1, 1).
double uniform(uint64_t stream, uint64_t counter) {
  return static_cast<double>(random_bits(stream, counter) >> 11) * 0x1p-52 - 1;
}

// Mean 0, variance 1: the sum of 12 uniforms of variance 1/12, exact in any arithmetic.
double near_normal(uint64_t stream, uint64_t counter) {
  int64_t sum = 0;
  for (uint64_t word = 0; word < 3; ++word) {
    const uint64_t bits = random_bits(stream, 3 * counter + word);
    for (int shift = 0; shift < 64; shift += 16)
      sum += static_cast<int64_t>(bits >> shift & 0xffff);
  }
  return (static_cast<double>(sum) - 6 * 65535.0) / 65536;
}

using Element = std::function<float(uint64_t)>;  // of the element's row-major index

// The value of each element of a tensor, as PyTorch initialises the module it belongs to.
Element initial_values(const ExpectedTensor& tensor, int64_t inputs, uint64_t stream) {
  const std::string_view name = tensor.name;
  if (name == "var") return [](uint64_t) { return 1.0f; };
  if (name.ends_with(".norm.weight")) return [](uint64_t) { return 1.0f; };
  if (name.ends_with(".norm.bias")) return [](uint64_t) { return 0.0f; };
  if (name.ends_with(".attn_mask")) {
    const auto tokens = static_cast<uint64_t>(tensor.shape[0]);
    return [tokens](uint64_t i) { return i % tokens <= i / tokens ? 1.0f : 0.0f; };
  }
  if (name.ends_with("_embed")) {
    return [stream](uint64_t i) { return static_cast<float>(0.01 * near_normal(stream, i)); };
  }
  const double scale = name.find(".proj_out.") == std::string_view::npos ? 1 : kProjOutScale;
  const double bound = scale / std::sqrt(static_cast<double>(inputs));
  return [stream, bound](uint64_t i) { return static_cast<float>(bound * uniform(stream, i)); };
}

std::vector<std::byte> fill(const Element& element, uint64_t elements, DType dtype) {
  std::vector<std::byte> bytes(elements * item_size(dtype));
  for (uint64_t i = 0; i < elements; ++i) {
    const float value = element(i);
    if (dtype == DType::kFloat32) {
      std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
    } else {
      const uint16_t rounded = bfloat16_from_float(value);
      std::memcpy(bytes.data() + i * sizeof rounded, &rounded, sizeof rounded);
    }
  }
  return bytes;
}

// Calls `take` with each tensor of the state dict and what it holds.
template <typename Take>
void each_tensor(const ModelShape& shape, uint64_t seed, const Take& take) {
  check_shape(shape);
  int64_t inputs = 1;  // of the linear layer: its weight comes before its bias
  uint64_t index = 0;
  for (const ExpectedTensor& expected : expected_tensors(shape)) {
    if (expected.shape.size() == 2) inputs = expected.shape[1];
    take(expected, initial_values(expected, inputs, mix(mix(seed) + index++)));
  }
}

}  // namespace

void check_shape(const ModelShape& shape) {
  const bool positive = shape.image_size > 0 && shape.patch_size > 0 && shape.channels > 0 &&
                        shape.blocks > 0 && shape.layers > 0;
  if (!positive || shape.classes < 0) {
    throw Error(fmt::format("impossible shape of a TarFlow: {}", shape.str()),
                "all sizes are positive; classes may be 0");
  }
  if (shape.image_size % shape.patch_size) {
    throw Error(fmt::format("an image of {} pixels does not split into patches of {}",
                            shape.image_size, shape.patch_size));
  }
  if (shape.channels % kHeadWidth) {
    throw Error(
        fmt::format("{} channels do not split into heads of {}", shape.channels, kHeadWidth),
        fmt::format("make the channels a multiple of {}", kHeadWidth));
  }
  if (shape.colours != 1 && shape.colours != 3)
    throw Error(fmt::format("images have 3 colours, or 1 if grey, not {}", shape.colours));
  constexpr int kLargest =
      1 << 13;  // sides far beyond any model, whose products still fit everywhere
  for (const int side :
       {shape.image_size, shape.channels, shape.blocks, shape.layers, shape.classes}) {
    if (side > kLargest)
      throw Error(fmt::format("{} is beyond the largest size, {}", side, kLargest));
  }
}

CompleteShape complete_shape(const std::filesystem::path& path, const StatedShape& stated,
                             const ModelShape& defaults) {
  const auto name = parse_model_filename(path);
  CompleteShape complete{defaults, ""};
  ModelShape& shape = complete.shape;
  const auto take = [](auto& part, const auto& said, const auto* named) {
    part = said ? *said : named ? *named : part;
  };
  take(shape.patch_size, stated.patch_size, name ? &name->patch_size : nullptr);
  take(shape.channels, stated.channels, name ? &name->channels : nullptr);
  take(shape.blocks, stated.blocks, name ? &name->blocks : nullptr);
  take(shape.layers, stated.layers, name ? &name->layers : nullptr);
  take(shape.noise_std, stated.noise_std, name ? &name->noise_std : nullptr);
  if (!name) return complete;
  const auto differing = name_contradictions(*name, shape, "the options");
  const bool wrong_noise = name->noise_std != shape.noise_std;
  if (differing.empty() && !wrong_noise) return complete;
  complete.warning =
      fmt::format("{}: the file's name and the options differ in {}", path.string(),
                  differing.empty() ? "noise_std" : fmt::format("{}", fmt::join(differing, "; ")));
  const bool all_sizes = stated.patch_size && stated.channels && stated.blocks && stated.layers;
  if (all_sizes && !wrong_noise) return complete;
  throw Error(complete.warning,
              "change the name or the options; what the name states needs no option");
}

UntrainedState::UntrainedState(const ModelShape& shape, uint64_t seed) {
  each_tensor(shape, seed, [this](const ExpectedTensor& tensor, Element element) {
    values_.emplace(tensor.name, std::move(element));
  });
}

void UntrainedState::read(const std::string& name, uint64_t first, std::span<float> values) const {
  const Element& element = values_.at(name);
  for (float& value : values) value = element(first++);
}

void write_untrained(const std::filesystem::path& path, const ModelShape& shape, uint64_t seed,
                     DType dtype) {
  if (dtype != DType::kFloat32 && dtype != DType::kBFloat16) {
    throw Error(fmt::format("an untrained checkpoint cannot be {}", to_string(dtype)),
                "valid: float32, bfloat16");
  }
  std::vector<TensorToWrite> tensors;
  each_tensor(shape, seed, [&](const ExpectedTensor& expected, const Element& element) {
    uint64_t elements = 1;
    for (const int64_t side : expected.shape) elements *= static_cast<uint64_t>(side);
    tensors.push_back({expected.name, dtype, expected.shape,
                       [element, elements, dtype] { return fill(element, elements, dtype); }});
  });
  write_checkpoint(path, tensors);
}

}  // namespace tarflow::checkpoint
