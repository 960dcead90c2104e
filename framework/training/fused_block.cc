#include "framework/training/fused_block.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "framework/kernels/gelu_backward.h"
#include "framework/kernels/qkv_gradient.h"
#include "framework/kernels/stream_norm.h"

namespace tarflow::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<at::Tensor>;

MaybeTensor maybe(const at::Tensor& tensor) {
  return tensor.defined() ? MaybeTensor(tensor) : std::nullopt;
}

at::Tensor contiguous(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.contiguous() : tensor;
}

// Outputs: sum, normed.
struct AddAndNorm : Function<AddAndNorm> {
  static variable_list forward(AutogradContext* context, const at::Tensor& h,
                               const MaybeTensor& added, const MaybeTensor&,
                               const at::Tensor& weight, const at::Tensor& bias,
                               at::ScalarType type) {
    const kernels::StreamNormOutputs out = kernels::stream_norm(
        {h.contiguous(), added ? added->contiguous() : at::Tensor(), weight, bias, type});
    context->save_for_backward({out.sum, out.mean, out.inverse, weight, bias});
    context->saved_data["added"] = added.has_value();
    context->set_materialize_grads(false);
    return {out.sum, out.normed};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    TORCH_CHECK(gradients[1].defined(), "nobody uses the normalised rows");
    const kernels::StreamNormGradients found = kernels::stream_norm_backward(
        {saved[0], saved[1], saved[2], saved[3], saved[4], contiguous(gradients[1]),
         contiguous(gradients[0]), context->saved_data["added"].toBool()});
    return {found.h, found.added, found.added_bias, found.weight, found.bias, {}};
  }
};

// Outputs: queries, keys, values.
struct SplitHeads : Function<SplitHeads> {
  static variable_list forward(AutogradContext*, const at::Tensor& qkv, const at::Tensor&) {
    const at::Tensor parts =
        qkv.view({qkv.size(0), qkv.size(1), 3, -1, kHeadWidth}).permute({2, 0, 3, 1, 4});
    return parts.unbind(0);
  }

  static variable_list backward(AutogradContext*, variable_list gradients) {
    // Attention leaves them in the order of tokens, heads: nothing is copied here.
    for (at::Tensor& part : gradients)
      part = part.transpose(1, 2).reshape({part.size(0), part.size(2), -1}).contiguous();
    const kernels::QkvGradient found =
        kernels::qkv_gradient({gradients[0], gradients[1], gradients[2]});
    return {found.qkv, found.bias};
  }
};

struct GeluOfLinear : Function<GeluOfLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& inputs, const at::Tensor&) {
    context->save_for_backward({inputs});
    return at::gelu(inputs);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const kernels::GeluGradients found = kernels::gelu_backward(
        {context->get_saved_variables()[0].contiguous(), gradients[0].contiguous()});
    return {found.inputs, found.bias};
  }
};

struct AddAndCast : Function<AddAndCast> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& h, const at::Tensor& added,
                            const at::Tensor&) {
    context->saved_data["type"] = h.scalar_type();
    at::Tensor out = at::empty(added.sizes(), added.options());
    at::add_out(out, h, added);  // adds in fp32, then casts
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor& given = gradients[0];
    return {given.to(context->saved_data["type"].toScalarType()), given,
            given.reshape({-1, given.size(-1)}).sum(0)};
  }
};

}  // namespace

NormedStream add_and_norm(const at::Tensor& h, const at::Tensor& added,
                          const at::Tensor& added_bias, const at::Tensor& weight,
                          const at::Tensor& bias, at::ScalarType type) {
  const variable_list out =
      AddAndNorm::apply(h, maybe(added), maybe(added_bias), weight, bias, type);
  return {out[0], out[1]};
}

Heads heads_of(const at::Tensor& qkv, const at::Tensor& qkv_bias) {
  const variable_list out = SplitHeads::apply(qkv, qkv_bias);
  return {out[0], out[1], out[2]};
}

at::Tensor gelu_of_linear(const at::Tensor& inputs, const at::Tensor& linear_bias) {
  return GeluOfLinear::apply(inputs, linear_bias);
}

at::Tensor add_and_cast(const at::Tensor& h, const at::Tensor& added,
                        const at::Tensor& added_bias) {
  return AddAndCast::apply(h, added, added_bias);
}

at::Tensor fused_outputs(const Model& model, const BlockWeights& block, const at::Tensor& x,
                         const Labels& labels) {
  const auto linear = [](const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(rows, weight, bias.detach());
  };
  at::Tensor h = embedded(model, block, x, labels);
  at::Tensor added, added_bias;  // to the stream; what made it and adds it stand on two sides
  for (const LayerWeights& layer : block.layers) {
    NormedStream normed = add_and_norm(h, added, added_bias, layer.attention_norm_weight,
                                       layer.attention_norm_bias, model.dtype());
    const Heads heads =
        heads_of(linear(normed.y, layer.qkv_weight, layer.qkv_bias), layer.qkv_bias);
    added = linear(attended(heads.queries, heads.keys, heads.values), layer.proj_weight,
                   layer.proj_bias);
    normed = add_and_norm(normed.h, added, layer.proj_bias, layer.mlp_norm_weight,
                          layer.mlp_norm_bias, model.dtype());
    const at::Tensor wide =
        gelu_of_linear(linear(normed.y, layer.up_weight, layer.up_bias), layer.up_bias);
    added = linear(wide, layer.down_weight, layer.down_bias);
    added_bias = layer.down_bias;
    h = normed.h;
  }
  return at::linear(add_and_cast(h, added, added_bias), block.proj_out_weight, block.proj_out_bias);
}

}  // namespace tarflow::training
