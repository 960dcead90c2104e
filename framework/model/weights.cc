#include "framework/model/weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstring>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/error.h"

namespace tarflow {
namespace {

// Fills a row-major fp32 tensor with the values of the named tensor.
using Source = std::function<void(const std::string&, at::Tensor&)>;
// The shapes of a checkpoint's tensors.
using Shapes = std::map<std::string, std::vector<int64_t>>;

// Collects tensors with values that a model cannot compute with.
class Faults {
 public:
  void require_finite(const std::string& name, const at::Tensor& tensor, const char* what) {
    const at::Tensor finite = at::isfinite(tensor);
    if (finite.all().item<bool>()) return;
    add(name, tensor.numel() - finite.sum().item<int64_t>(), tensor.numel(), what);
  }

  void add(const std::string& name, int64_t count, int64_t of, const char* what) {
    if (++tensors_ > kListed) return;
    text_ += fmt::format("\n  {}: {} of {} values {}", name, count, of, what);
  }

  // Throws Error that lists the tensors, if there are any.
  void end(const char* repair) const {
    if (tensors_ == 0) return;
    const int64_t others = tensors_ - kListed;
    throw Error(fmt::format("no model can be computed with these weights:{}{}", text_,
                            others > 0 ? fmt::format("\n  and {} more tensors", others) : ""),
                repair);
  }

 private:
  static constexpr int64_t kListed = 8;

  int64_t tensors_ = 0;
  std::string text_;
};

constexpr const char* kNotFinite = "are NaN or infinite";

// The fault of values that are finite before the rounding to the compute type and not after it.
const char* too_large_for(ComputeType compute) {
  return compute == ComputeType::kBFloat16 ? "are too large for bfloat16" : kNotFinite;
}

Shapes shapes_of(const ModelShape& shape) {
  Shapes shapes;
  for (checkpoint::ExpectedTensor& tensor : checkpoint::expected_tensors(shape))
    shapes.emplace(std::move(tensor.name), std::move(tensor.shape));
  return shapes;
}

std::string block_prefix(int block) { return fmt::format("blocks.{}.", block); }

at::ScalarType type_of(WeightKind kind, ComputeType compute) {
  return kind == WeightKind::kLinear ? scalar_type(compute) : at::kFloat;
}

// (T, D), the square root of `var`.
at::Tensor prior_std(const at::Tensor& var, Faults& faults) {
  const int64_t negative = (var < 0).sum().item<int64_t>();
  if (negative > 0) {
    faults.add("var", negative, var.numel(), "are negative, and it is the variance of the latents");
  }
  return var.sqrt();
}

Model load(const Source& source, const ModelShape& shape, const at::Device& device,
           ComputeType compute) {
  Model model;
  model.shape = shape;
  model.device = device;
  model.compute = compute;
  const Shapes shapes = shapes_of(shape);
  Faults faults;
  const auto read = [&](const std::string& name) {
    at::Tensor tensor = at::empty(shapes.at(name), at::kFloat);
    source(name, tensor);
    faults.require_finite(name, tensor, kNotFinite);
    return tensor;
  };
  model.prior_std = prior_std(read("var"), faults).to(device);
  for (int b = 0; b < shape.blocks; ++b) {
    BlockWeights block;
    block.reversed = b % 2 == 1;
    block.layers.resize(static_cast<size_t>(shape.layers));
    for_each_tensor(block, [&](const std::string& name, at::Tensor& tensor, WeightKind kind) {
      const std::string whole = block_prefix(b) + name;
      if (!shapes.contains(whole)) return;
      const at::Tensor exact = read(whole);
      tensor = exact.to(device, type_of(kind, compute));
      if (tensor.scalar_type() != at::kFloat && at::isfinite(exact).all().item<bool>())
        faults.require_finite(whole, tensor, too_large_for(compute));
    });
    if (shape.volume_preserving) {
      for (at::Tensor* half : {&block.proj_out_weight, &block.proj_out_bias})
        *half = at::cat({at::zeros_like(*half), *half});
    }
    if (block.reversed) block.position = block.position.flip(0).contiguous();
    block.class_mean = at::zeros({shape.channels}, at::TensorOptions().device(device));
    if (shape.classes > 0) {
      block.class_embed = block.class_embed.squeeze(1);  // (classes, 1, C) in the file
      block.class_mean = block.class_embed.mean(0);
      if (at::isfinite(block.class_embed).all().item<bool>()) {
        faults.require_finite(block_prefix(b) + "class_embed", block.class_mean,
                              "of the mean over classes are too large for float32");
      }
    }
    model.blocks.push_back(std::move(block));
  }
  faults.end(
      "the training diverged, the file is damaged, or a tensor is not what its name says: name "
      "another checkpoint");
  return model;
}

}  // namespace

Model load_model(const checkpoint::Checkpoint& file, const ModelShape& shape,
                 const at::Device& device, ComputeType compute) {
  checkpoint::check_state(file, shape);
  const auto source = [&](const std::string& name, at::Tensor& tensor) {
    const std::vector<float> values = file.read_f32(name);
    std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(float));
  };
  return load(source, shape, device, compute);
}

Model random_weights(const ModelShape& shape, uint64_t seed, const at::Device& device,
                     ComputeType compute) {
  const checkpoint::UntrainedState state(shape, seed);
  const auto source = [&](const std::string& name, at::Tensor& tensor) {
    float* const values = tensor.mutable_data_ptr<float>();
    at::parallel_for(0, tensor.numel(), 1 << 14, [&](int64_t begin, int64_t end) {
      state.read(name, static_cast<uint64_t>(begin),
                 {values + begin, static_cast<size_t>(end - begin)});
    });
  };
  return load(source, shape, device, compute);
}

Model converted(const Model& model, ComputeType compute) {
  Model result = model;
  result.compute = compute;
  Faults faults;
  for (size_t b = 0; b < result.blocks.size(); ++b) {
    for_each_tensor(result.blocks[b],
                    [&](const std::string& name, at::Tensor& tensor, WeightKind kind) {
                      if (kind != WeightKind::kLinear) return;
                      tensor = tensor.to(result.dtype());
                      faults.require_finite(block_prefix(static_cast<int>(b)) + name, tensor,
                                            too_large_for(compute));
                    });
  }
  faults.end("compare float32 with a model whose weights fit the compute type");
  return result;
}

int64_t weight_bytes(const ModelShape& shape, ComputeType compute) {
  const Shapes shapes = shapes_of(shape);
  const auto bytes_of = [&](const std::string& name, at::ScalarType type) {
    const auto found = shapes.find(name);
    if (found == shapes.end()) return int64_t{0};
    return c10::multiply_integers(found->second) * static_cast<int64_t>(at::elementSize(type));
  };
  BlockWeights block;
  block.layers.resize(static_cast<size_t>(shape.layers));
  int64_t bytes = 0;  // of a block; all blocks have the same shape
  for_each_tensor(block, [&](const std::string& name, at::Tensor&, WeightKind kind) {
    const bool padded = shape.volume_preserving && name.starts_with("proj_out.");
    bytes += (padded ? 2 : 1) * bytes_of(block_prefix(0) + name, type_of(kind, compute));
  });
  const int64_t mean = shape.channels * static_cast<int64_t>(sizeof(float));
  return bytes_of("var", at::kFloat) + shape.blocks * (bytes + mean);
}

}  // namespace tarflow
