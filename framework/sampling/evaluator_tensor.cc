#include <ATen/ATen.h>

#include "framework/sampling/evaluator.h"

namespace tarflow {
namespace {

class TensorEvaluator final : public Evaluator {
 public:
  TensorEvaluator(const Model& model, int64_t capacity, const Guidance& guidance)
      : Evaluator(model, capacity, guidance), attn_temp_(guidance.attn_temp) {
    const ModelShape& shape = model.shape;
    const auto options = at::TensorOptions().device(model.device).dtype(model.dtype());
    cache_ = at::empty({cache_elements(shape, most_rows())}, options)
                 .view({shape.layers, 2, most_rows(), shape.heads(), shape.tokens(), kHeadWidth});
  }

  bool skips_final_tokens(int64_t) const override { return model_.device.is_cpu(); }

 private:
  void turn_to(int block, const Labels& labels) override {
    block_ = &model_.blocks.at(static_cast<size_t>(block));
    const at::Tensor conditional = class_embedding(model_, *block_, labels);
    classes_ = conditional;
    if (guided() && conditional.defined()) {
      const int64_t c = model_.shape.channels;
      classes_ = at::cat({conditional.expand({images_, 1, c}),
                          class_embedding(model_, *block_, {}).expand({images_, 1, c})});
    }
  }

  at::Tensor outputs_of(const at::Tensor& x, const Step& step) override {
    const int64_t first = step.place.token(), last = first + step.width, batch = rows(step);
    at::Tensor input = x.slice(1, first, last).to(model_.dtype());
    at::Tensor h = at::linear(input, block_->proj_in_weight, block_->proj_in_bias) +
                   block_->position.slice(0, first, last);
    if (batch > images_) h = at::cat({h, h});
    if (classes_.defined())
      h.add_(classes_.size(0) > batch ? classes_.slice(0, 0, batch) : classes_);
    // (B) of rows whose cache is written; undefined: all.
    kept_ = step.stopped.defined() ? step.stopped.eq(0).repeat(batch / images_) : at::Tensor();
    const at::Tensor mask = lower_right_mask(first, last);
    for (int64_t l = 0; l < static_cast<int64_t>(block_->layers.size()); ++l) {
      layer(block_->layers[static_cast<size_t>(l)], cache_[l].slice(1, 0, batch), h, first, last,
            mask);
    }
    return at::linear(h.to(model_.dtype()), block_->proj_out_weight, block_->proj_out_bias);
  }

  // Additive mask of queries [first, last) over keys [0, last); undefined where none or the causal
  // flag serves.
  at::Tensor lower_right_mask(int64_t first, int64_t last) const {
    if (first == 0 || last - first == 1 || model_.device.is_cuda()) return {};
    const at::Tensor mask =
        at::full({last - first, last}, -INFINITY, at::TensorOptions().dtype(model_.dtype()));
    return at::triu(mask, first + 1);
  }

  at::Tensor norm(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias) const {
    return at::layer_norm(h, {h.size(-1)}, weight, bias, 1e-5).to(model_.dtype());
  }

  // h (B, n, C) fp32 is updated in place.
  void layer(const LayerWeights& w, const at::Tensor& cache, at::Tensor& h, int64_t first,
             int64_t last, const at::Tensor& mask) const {
    const int64_t b = h.size(0), n = h.size(1), c = h.size(2), heads = model_.shape.heads();
    at::Tensor y = norm(h, w.attention_norm_weight, w.attention_norm_bias);
    const at::Tensor qkv = at::linear(y, w.qkv_weight, w.qkv_bias)
                               .view({b, n, 3, heads, kHeadWidth})
                               .permute({2, 0, 3, 1, 4});
    const at::Tensor fresh = qkv.slice(0, 1, 3), room = cache.slice(3, first, last);
    room.copy_(kept_.defined() ? at::where(kept_.view({1, -1, 1, 1, 1}), fresh, room) : fresh);
    at::Tensor query = qkv[0];
    // The unconditional half has its own scale, carried by its queries.
    if (b > images_ && attn_temp_ != 1) query.slice(0, images_).mul_(1.0 / attn_temp_);
    y = attend(query, cache[0].slice(2, 0, last), cache[1].slice(2, 0, last), first, mask);
    h.add_(at::linear(y.reshape({b, n, c}), w.proj_weight, w.proj_bias));
    y = norm(h, w.mlp_norm_weight, w.mlp_norm_bias);
    y = at::gelu(at::linear(y, w.up_weight, w.up_bias));
    h.add_(at::linear(y, w.down_weight, w.down_bias));
  }

  // (B, heads, n, 64) over (B, heads, last, 64) -> (B, n, heads, 64)
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t first,
                    const at::Tensor& mask) const {
    const bool single = q.size(2) == 1;
    if (model_.device.is_cuda() && first > 0) {
      return attend_to_prefix(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));
    }
    const bool causal = first == 0 && !single;
    std::optional<at::Tensor> bias;
    if (mask.defined()) bias = mask;
    return at::scaled_dot_product_attention(q, k, v, bias, 0.0, causal).transpose(1, 2);
  }

  // A segment or a single token over the cache on a GPU: (B, n, heads, 64) over (B, last, heads,
  // 64). Causal from the lower right corner, without a dense mask: query i sees keys up to first +
  // i. Named kernels, since scaled_dot_product_attention may choose cuDNN, which makes a plan for
  // each new length: tens of milliseconds for every token of a block.
  static at::Tensor attend_to_prefix(const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v) {
    const bool single = q.size(1) == 1;
    if (q.scalar_type() != at::kFloat) {
      return std::get<0>(at::_flash_attention_forward(q, k, v, {}, {}, q.size(1), k.size(1), 0.0,
                                                      /*is_causal=*/!single, false));
    }
    constexpr int64_t kNoMask = 0, kLowerRight = 2;
    return std::get<0>(at::_efficient_attention_forward(q, k, v, {}, {}, {}, {}, {}, 0.0,
                                                        single ? kNoMask : kLowerRight));
  }

  const double attn_temp_;
  at::Tensor cache_;  // (L, 2, B, heads, T, 64): keys, then values
  const BlockWeights* block_ = nullptr;
  at::Tensor classes_;
  at::Tensor kept_;
};

}  // namespace

EvaluatorBytes tensor_bytes(const Model& model, int64_t rows, int64_t longest) {
  const ModelShape& shape = model.shape;
  const int64_t c = shape.channels, d = shape.token_width(),
                element = at::elementSize(model.dtype()), full = at::elementSize(at::kFloat);
  EvaluatorBytes bytes;
  bytes.cache = cache_elements(shape, rows) * element;
  // The residual stream and what is added to it, a norm's output, a layer's MLP before and after
  // GELU; the outputs in both types.
  bytes.activations = rows * longest * (2 * c * full + 9 * c * element + 2 * d * (element + full));
  return bytes;
}

std::unique_ptr<Evaluator> make_tensor_evaluator(const Model& model, int64_t capacity,
                                                 const Guidance& guidance) {
  return std::make_unique<TensorEvaluator>(model, capacity, guidance);
}

}  // namespace tarflow
