#include "framework/model/weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/error.h"

namespace tarflow {
namespace {

// Fills a row-major fp32 tensor with the values of that name.
using Source = std::function<void(const std::string&, at::Tensor&)>;

// Tensors whose values no model can compute with.
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

  // Throws Error that lists them.
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

// Not finite only after rounding: no float32 value of such a size occurs in a trained model.
const char* too_large_for(ComputeType compute) {
  return compute == ComputeType::kBFloat16 ? "are too large for bfloat16" : kNotFinite;
}

// Brings tensors of one source onto one device.
class Loader {
 public:
  Loader(Source source, const Model& model) : source_(std::move(source)), model_(model) {}

  at::Tensor fp32(const std::string& name, at::IntArrayRef shape) const {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    source_(name, tensor);
    faults_.require_finite(name, tensor, kNotFinite);
    return tensor;
  }

  // On the device, fp32: what enters LayerNorm and the residual stream.
  at::Tensor full(const std::string& name, at::IntArrayRef shape) const {
    return fp32(name, shape).to(model_.device);
  }

  // On the device, in the compute type: what enters the linear layers.
  at::Tensor compute(const std::string& name, at::IntArrayRef shape) const {
    const at::Tensor exact = fp32(name, shape);
    at::Tensor tensor = exact.to(model_.device, model_.dtype());
    if (model_.compute != ComputeType::kFloat32 && at::isfinite(exact).all().item<bool>())
      faults_.require_finite(name, tensor, too_large_for(model_.compute));
    return tensor;
  }

  // (T, D), square root of `var`.
  at::Tensor prior_std() const {
    const at::Tensor var = fp32("var", {model_.shape.tokens(), model_.shape.token_width()});
    const int64_t negative = (var < 0).sum().item<int64_t>();
    if (negative > 0) {
      faults_.add("var", negative, var.numel(),
                  "are negative, and it is the variance of the latents");
    }
    return var.to(model_.device).sqrt();
  }

  // Throws Error that lists the tensors which cannot be used.
  void end() const {
    faults_.end(
        "the training diverged, the file is damaged, or a tensor is not what its name says: name "
        "another checkpoint");
  }

  LayerWeights layer(const std::string& prefix) const {
    const int64_t c = model_.shape.channels;
    LayerWeights w;
    w.attention_norm_weight = full(prefix + "attention.norm.weight", {c});
    w.attention_norm_bias = full(prefix + "attention.norm.bias", {c});
    w.qkv_weight = compute(prefix + "attention.qkv.weight", {3 * c, c});
    w.qkv_bias = compute(prefix + "attention.qkv.bias", {3 * c});
    w.proj_weight = compute(prefix + "attention.proj.weight", {c, c});
    w.proj_bias = compute(prefix + "attention.proj.bias", {c});
    w.mlp_norm_weight = full(prefix + "mlp.norm.weight", {c});
    w.mlp_norm_bias = full(prefix + "mlp.norm.bias", {c});
    w.up_weight = compute(prefix + "mlp.main.0.weight", {4 * c, c});
    w.up_bias = compute(prefix + "mlp.main.0.bias", {4 * c});
    w.down_weight = compute(prefix + "mlp.main.2.weight", {c, 4 * c});
    w.down_bias = compute(prefix + "mlp.main.2.bias", {c});
    return w;
  }

  BlockWeights block(int index) const {
    const ModelShape& shape = model_.shape;
    const int64_t c = shape.channels, d = shape.token_width(), t = shape.tokens();
    const std::string prefix = fmt::format("blocks.{}.", index);
    BlockWeights w;
    w.reversed = index % 2 == 1;
    w.proj_in_weight = compute(prefix + "proj_in.weight", {c, d});
    w.proj_in_bias = compute(prefix + "proj_in.bias", {c});
    w.position = full(prefix + "pos_embed", {t, c});
    if (w.reversed) w.position = w.position.flip(0).contiguous();
    w.class_mean = at::zeros({c}, at::TensorOptions().device(model_.device));
    if (shape.classes > 0) {
      w.class_embed = full(prefix + "class_embed", {shape.classes, c});
      w.class_mean = w.class_embed.mean(0);
      if (at::isfinite(w.class_embed).all().item<bool>()) {
        faults_.require_finite(prefix + "class_embed", w.class_mean,
                               "of the mean over classes are too large for float32");
      }
    }
    w.proj_out_weight = compute(prefix + "proj_out.weight", {2 * d, c});
    w.proj_out_bias = compute(prefix + "proj_out.bias", {2 * d});
    for (int l = 0; l < shape.layers; ++l)
      w.layers.push_back(layer(fmt::format("{}attn_blocks.{}.", prefix, l)));
    return w;
  }

 private:
  const Source source_;
  const Model& model_;
  mutable Faults faults_;
};

Model load(Source source, const ModelShape& shape, const at::Device& device, ComputeType compute) {
  Model model;
  model.shape = shape;
  model.device = device;
  model.compute = compute;
  const Loader loader(std::move(source), model);
  model.prior_std = loader.prior_std();
  for (int b = 0; b < shape.blocks; ++b) model.blocks.push_back(loader.block(b));
  loader.end();
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
  const auto convert = [&](const std::string& name, at::Tensor& tensor) {
    tensor = tensor.to(result.dtype());
    faults.require_finite(name, tensor, too_large_for(compute));
  };
  const auto convert_pair = [&](const std::string& name, at::Tensor& weight, at::Tensor& bias) {
    convert(name + ".weight", weight);
    convert(name + ".bias", bias);
  };
  for (size_t b = 0; b < result.blocks.size(); ++b) {
    BlockWeights& block = result.blocks[b];
    const std::string prefix = fmt::format("blocks.{}.", b);
    convert_pair(prefix + "proj_in", block.proj_in_weight, block.proj_in_bias);
    convert_pair(prefix + "proj_out", block.proj_out_weight, block.proj_out_bias);
    for (size_t l = 0; l < block.layers.size(); ++l) {
      LayerWeights& layer = block.layers[l];
      const std::string own = fmt::format("{}attn_blocks.{}.", prefix, l);
      convert_pair(own + "attention.qkv", layer.qkv_weight, layer.qkv_bias);
      convert_pair(own + "attention.proj", layer.proj_weight, layer.proj_bias);
      convert_pair(own + "mlp.main.0", layer.up_weight, layer.up_bias);
      convert_pair(own + "mlp.main.2", layer.down_weight, layer.down_bias);
    }
  }
  faults.end("compare float32 with a model whose weights fit the compute type");
  return result;
}

}  // namespace tarflow
