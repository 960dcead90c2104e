#include "framework/training/parameters.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/error.h"
#include "framework/tensor/philox.h"

namespace tarflow::training {
namespace {

// Elements; 256 bytes in bfloat16, where the products of GPUs read fastest.
constexpr int64_t kAlignment = 128;

int64_t aligned(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

// Fills [begin, end) of a tensor's elements.
using Fill = std::function<void(float* values, int64_t begin, int64_t end)>;

Fill constant(float value) {
  return [value](float* values, int64_t begin, int64_t end) {
    std::fill(values + begin, values + end, value);
  };
}

// Blocks of four from the counter-based generator; `begin` is a multiple of 4.
template <typename Four>
Fill by_fours(const Four& four) {
  return [four](float* values, int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; e += 4) {
      float numbers[4];
      four(static_cast<uint32_t>(e / 4), numbers);
      for (int64_t k = 0; k < std::min<int64_t>(4, end - e); ++k) values[e + k] = numbers[k];
    }
  };
}

// What PyTorch's modules and the published code start a tensor with. `inputs`: of the linear layer
// that it belongs to; `number`: of the tensor.
Fill initial_values(const Parameter& parameter, int64_t inputs, uint64_t seed, uint64_t number) {
  const std::string_view name = parameter.name;
  if (name.ends_with(".norm.weight")) return constant(1);
  if (name.ends_with(".norm.bias") || name.ends_with(".proj_out.weight")) return constant(0);
  if (name.ends_with("_embed")) {
    return by_fours([seed, number](uint32_t block, float* numbers) {
      normal4(seed, number, block, numbers, Stream::kWeights);
      for (int k = 0; k < 4; ++k) numbers[k] *= 0.01f;
    });
  }
  const float bound = static_cast<float>(1 / std::sqrt(static_cast<double>(inputs)));
  return by_fours([seed, number, bound](uint32_t block, float* numbers) {
    uniform4(seed, number, block, numbers, Stream::kWeights);
    for (int k = 0; k < 4; ++k) numbers[k] = bound * (2 * numbers[k] - 1);
  });
}

}  // namespace

ParameterLayout::ParameterLayout(const ModelShape& shape) : shape_(shape) {
  checkpoint::check_shape(shape);
  std::map<std::string, std::vector<int64_t>> shapes;
  for (checkpoint::ExpectedTensor& tensor : checkpoint::expected_tensors(shape))
    shapes.emplace(std::move(tensor.name), std::move(tensor.shape));
  BlockWeights block;
  block.layers.resize(static_cast<size_t>(shape.layers));
  for (int b = 0; b < shape.blocks; ++b) {
    std::vector<Parameter> parameters;
    const int64_t first = elements_;
    for_each_tensor(block, [&](const std::string& name, at::Tensor&, WeightKind kind) {
      const std::string whole = fmt::format("blocks.{}.{}", b, name);
      const auto found = shapes.find(whole);
      if (found == shapes.end()) return;
      const int64_t elements = c10::multiply_integers(found->second);
      parameters.push_back({whole, found->second, kind, elements_, elements});
      elements_ += aligned(elements);
    });
    blocks_.push_back(std::move(parameters));
    ranges_.emplace_back(first, elements_);
  }
}

at::Tensor ParameterLayout::part(const at::Tensor& row, int block) const {
  const auto& [first, last] = ranges_[static_cast<size_t>(block)];
  return row.slice(0, first, last);
}

std::vector<at::Tensor> ParameterLayout::views(const at::Tensor& row, int block) const {
  std::vector<at::Tensor> tensors;
  for (const Parameter& parameter : of_block(block)) {
    tensors.push_back(row.slice(0, parameter.offset, parameter.offset + parameter.elements)
                          .view(parameter.shape));
  }
  return tensors;
}

at::Tensor initial_parameters(const ParameterLayout& layout, uint64_t seed) {
  at::Tensor row = at::zeros({layout.elements()}, at::kFloat);
  uint64_t number = 0;
  int64_t inputs = 1;  // of the linear layer: its weight comes before its bias
  for (int b = 0; b < layout.shape().blocks; ++b) {
    for (const Parameter& parameter : layout.of_block(b)) {
      if (parameter.shape.size() == 2) inputs = parameter.shape[1];
      const Fill fill = initial_values(parameter, inputs, seed, number++);
      float* const values = row.mutable_data_ptr<float>() + parameter.offset;
      at::parallel_for(0, (parameter.elements + 3) / 4, 1 << 12, [&](int64_t begin, int64_t end) {
        fill(values, 4 * begin, std::min(4 * end, parameter.elements));
      });
    }
  }
  return row;
}

BlockWeights block_of(const ParameterLayout& layout, int block,
                      const std::vector<at::Tensor>& tensors) {
  const ModelShape& shape = layout.shape();
  BlockWeights weights;
  weights.reversed = block % 2 == 1;
  weights.layers.resize(static_cast<size_t>(shape.layers));
  size_t next = 0;
  for_each_tensor(weights, [&](const std::string&, at::Tensor& tensor, WeightKind kind) {
    if (kind != WeightKind::kClass || shape.classes > 0) tensor = tensors[next++];
  });
  if (shape.volume_preserving) {
    for (at::Tensor* half : {&weights.proj_out_weight, &weights.proj_out_bias})
      *half = at::cat({at::zeros_like(*half), *half});
  }
  if (weights.reversed) weights.position = weights.position.flip(0);
  if (shape.classes > 0) {
    weights.class_embed = weights.class_embed.squeeze(1);  // (classes, 1, C) in the file
    weights.class_mean = weights.class_embed.mean(0);
  } else {
    weights.class_mean = at::zeros({shape.channels}, weights.position.options());
  }
  return weights;
}

Model model_of(const ParameterLayout& layout, const at::Tensor& row, const at::Tensor& var,
               ComputeType compute) {
  const c10::NoGradGuard no_grad;
  Model model{layout.shape(), row.device(), compute, var.sqrt(), {}};
  for (int b = 0; b < layout.shape().blocks; ++b) {
    std::vector<at::Tensor> tensors = layout.views(row, b);
    const std::vector<Parameter>& parameters = layout.of_block(b);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const bool linear = parameters[i].kind == WeightKind::kLinear;
      tensors[i] = tensors[i].to(linear ? model.dtype() : at::kFloat, false, /*copy=*/true);
    }
    model.blocks.push_back(block_of(layout, b, tensors));
  }
  return model;
}

}  // namespace tarflow::training
