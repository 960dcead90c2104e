#include "framework/model/weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cstring>
#include <functional>
#include <vector>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"

namespace tarflow {
namespace {

// Fills a row-major fp32 tensor with the values of that name.
using Source = std::function<void(const std::string&, at::Tensor&)>;

// Brings tensors of one source onto one device.
class Loader {
 public:
  Loader(Source source, const Model& model) : source_(std::move(source)), model_(model) {}

  at::Tensor fp32(const std::string& name, at::IntArrayRef shape) const {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    source_(name, tensor);
    return tensor;
  }

  // On the device, fp32: what enters LayerNorm and the residual stream.
  at::Tensor full(const std::string& name, at::IntArrayRef shape) const {
    return fp32(name, shape).to(model_.device);
  }

  // On the device, in the compute type: what enters the linear layers.
  at::Tensor compute(const std::string& name, at::IntArrayRef shape) const {
    return fp32(name, shape).to(model_.device, model_.dtype());
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
};

Model load(Source source, const ModelShape& shape, const at::Device& device, ComputeType compute) {
  Model model;
  model.shape = shape;
  model.device = device;
  model.compute = compute;
  const Loader loader(std::move(source), model);
  model.prior_std = loader.full("var", {shape.tokens(), shape.token_width()}).sqrt();
  for (int b = 0; b < shape.blocks; ++b) model.blocks.push_back(loader.block(b));
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
  for (BlockWeights& block : result.blocks) {
    std::vector<at::Tensor*> linear = {&block.proj_in_weight, &block.proj_in_bias,
                                       &block.proj_out_weight, &block.proj_out_bias};
    for (LayerWeights& layer : block.layers) {
      linear.insert(linear.end(),
                    {&layer.qkv_weight, &layer.qkv_bias, &layer.proj_weight, &layer.proj_bias,
                     &layer.up_weight, &layer.up_bias, &layer.down_weight, &layer.down_bias});
    }
    for (at::Tensor* tensor : linear) *tensor = tensor->to(result.dtype());
  }
  return result;
}

}  // namespace tarflow
