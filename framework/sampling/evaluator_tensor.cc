// The evaluator of plain LibTorch operations.
#include <ATen/ATen.h>

#include "framework/kernels/attention.h"
#include "framework/kernels/layer_norm.h"
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
    // (B) bool: rows whose cache is written; undefined: all rows.
    written_ = step.stopped.defined() ? step.stopped.eq(0).repeat(batch / images_) : at::Tensor();
    for (int64_t l = 0; l < static_cast<int64_t>(block_->layers.size()); ++l) {
      layer(block_->layers[static_cast<size_t>(l)], cache_[l].slice(1, 0, batch), h, first, last);
    }
    return at::linear(h.to(model_.dtype()), block_->proj_out_weight, block_->proj_out_bias);
  }

  at::Tensor norm(const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias) const {
    return kernels::layer_norm(h, weight, bias).to(model_.dtype());
  }

  // The output of attention, (B, n, C). Queries, keys and values are freed when it returns, before
  // the MLP allocates its activations.
  at::Tensor attended(const LayerWeights& w, const at::Tensor& cache, const at::Tensor& h,
                      int64_t first, int64_t last) const {
    const int64_t b = h.size(0), n = h.size(1), c = h.size(2), heads = model_.shape.heads();
    const at::Tensor qkv = at::linear(norm(h, w.attention_norm_weight, w.attention_norm_bias),
                                      w.qkv_weight, w.qkv_bias)
                               .view({b, n, 3, heads, kHeadWidth});
    const at::Tensor fresh = qkv.slice(2, 1, 3).permute({2, 0, 3, 1, 4}),
                     stored = cache.slice(3, first, last);
    stored.copy_(written_.defined() ? at::where(written_.view({1, -1, 1, 1, 1}), fresh, stored)
                                    : fresh);
    const at::Tensor keys = cache[0].slice(2, 0, last), values = cache[1].slice(2, 0, last);
    return kernels::attention({qkv.select(2, 0), keys.transpose(1, 2), values.transpose(1, 2),
                               images_, 1.0 / attn_temp_})
        .reshape({b, n, c});
  }

  // h (B, n, C) fp32 is updated in place.
  void layer(const LayerWeights& w, const at::Tensor& cache, at::Tensor& h, int64_t first,
             int64_t last) const {
    h.add_(at::linear(attended(w, cache, h, first, last), w.proj_weight, w.proj_bias));
    at::Tensor y = norm(h, w.mlp_norm_weight, w.mlp_norm_bias);
    y = at::gelu(at::linear(y, w.up_weight, w.up_bias));
    h.add_(at::linear(y, w.down_weight, w.down_bias));
  }

  const double attn_temp_;
  at::Tensor cache_;  // (L, 2, B, heads, T, 64): keys, then values
  const BlockWeights* block_ = nullptr;
  at::Tensor classes_;
  at::Tensor written_;
};

}  // namespace

EvaluatorBytes tensor_bytes(const Model& model, int64_t rows, int64_t longest) {
  const ModelShape& shape = model.shape;
  const int64_t c = shape.channels, d = shape.token_width(),
                element = at::elementSize(model.dtype()), full = at::elementSize(at::kFloat);
  EvaluatorBytes bytes;
  bytes.cache = cache_elements(shape, rows) * element;
  // The residual stream and its summand, the output of a norm, the MLP before and after GELU, and
  // the outputs in both types.
  bytes.activations = rows * longest * (2 * c * full + 9 * c * element + 2 * d * (element + full));
  return bytes;
}

std::unique_ptr<Evaluator> make_tensor_evaluator(const Model& model, int64_t capacity,
                                                 const Guidance& guidance) {
  return std::make_unique<TensorEvaluator>(model, capacity, guidance);
}

}  // namespace tarflow
