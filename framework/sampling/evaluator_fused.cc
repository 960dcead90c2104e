// The evaluator for GPUs: cuBLAS and the attention of LibTorch with kernels of our own between
// them, given to the device as CUDA graphs. On a CPU the kernels' twins do the same, slowly.
#include <ATen/ATen.h>

#include <bit>
#include <cmath>
#include <stdexcept>

#include "framework/kernels/attention.h"
#include "framework/kernels/decode_attention.h"
#include "framework/kernels/embed.h"
#include "framework/kernels/linear.h"
#include "framework/kernels/residual_norm.h"
#include "framework/kernels/store_keys_values.h"
#include "framework/sampling/evaluator.h"
#include "framework/tensor/graphs.h"

namespace tarflow {
namespace {

using kernels::Position;

// The tensors of a block, those of one type together.
struct Listed {
  std::vector<at::Tensor> compute, full;
};

// The classes are not among them: begin() reads the one that it needs.
Listed list(const BlockWeights& block) {
  Listed all;
  for_each_tensor(block, [&](const std::string&, const at::Tensor& tensor, WeightKind kind) {
    if (kind == WeightKind::kClass) return;
    (kind == WeightKind::kLinear ? all.compute : all.full).push_back(tensor);
  });
  return all;
}

// Room for any block's weights.
BlockWeights room_for(const BlockWeights& block) {
  BlockWeights room = block;
  for_each_tensor(room, [](const std::string&, at::Tensor& tensor, WeightKind kind) {
    if (kind != WeightKind::kClass) tensor = at::empty_like(tensor);
  });
  return room;
}

class FusedEvaluator final : public Evaluator {
 public:
  FusedEvaluator(const Model& model, int64_t images, const Guidance& guidance, int stop_lag)
      : model_(model),
        images_(images),
        batch_(guidance.doubled(model.shape) ? 2 * images : images),
        query_scale_(1.0 / guidance.attn_temp),
        stop_lag_(stop_lag),
        graphs_(model.device) {
    const ModelShape& shape = model.shape;
    if (!can_fuse(model)) throw std::logic_error("too many channels for the fused evaluator");
    const auto full = at::TensorOptions().device(model.device).dtype(at::kFloat);
    cache_ = at::empty({shape.layers, 2, batch_, shape.heads(), shape.tokens(), kHeadWidth},
                       full.dtype(model.dtype()));
    classes_ = at::zeros({batch_, shape.channels}, full);
    position_ = at::zeros({1}, full.dtype(at::kLong));
    pending_ = at::zeros({shape.layers + 1, shape.channels}, full);
    middle_ = at::zeros({shape.layers, shape.channels}, full);
    block_ = room_for(model.blocks.at(0));
    // Rows of tokens start at multiples of 16 bytes, as the matrix units want them.
    padded_ = (shape.token_width() + 7) / 8 * 8;
    proj_in_ = at::zeros({shape.channels, padded_}, full.dtype(model.dtype()));
  }

  static bool can_fuse(const Model& model) {
    return model.shape.channels <= kernels::kMostNormChannels;
  }

  // The block's weights move to where the graphs read them: a thousandth of an iteration's work.
  void begin(int block, const Labels& labels) override {
    const BlockWeights& weights = model_.blocks.at(static_cast<size_t>(block));
    const Listed from = list(weights), to = list(block_);
    kernels::copy_all(to.compute, from.compute);
    kernels::copy_all(to.full, from.full);
    for (size_t l = 0; l < weights.layers.size(); ++l) {
      const int64_t layer = static_cast<int64_t>(l);
      pending_[layer + 1].copy_(weights.layers[l].down_bias);
      middle_[layer].copy_(pending_[layer] + weights.layers[l].proj_bias);
    }
    proj_in_.slice(1, 0, weights.proj_in_weight.size(1)).copy_(weights.proj_in_weight);
    classes_.copy_(weights.proj_in_bias.to(at::kFloat).expand_as(classes_));
    const at::Tensor conditional = class_embedding(model_, weights, labels);
    if (!conditional.defined()) return;
    const int64_t c = model_.shape.channels;
    classes_.slice(0, 0, images_).add_(conditional.view({-1, c}));
    if (batch_ > images_) classes_.slice(0, images_).add_(weights.class_mean);
  }

  at::Tensor evaluate(const at::Tensor& x, int64_t first, int64_t last) override {
    return outputs(x, {first, {}}, last - first, /*cached=*/true, {});
  }

  void advance(const kernels::GuidedUpdate& update, int64_t last) override {
    const int64_t first = update.first, n = last - first;
    if (n == 1) return step(update);
    // Jacobi over all tokens reads no cache.
    const bool cached = first > 0 || last + 1 < model_.shape.tokens();
    // With this much work the device is busy until the host has given it the next, so a graph saves
    // nothing. Without a graph the final tokens can be left out: their number changes each time.
    if (batch_ * n >= kManyRows) return write(update, {first, {}}, n, cached);
    graphs_.run(key_of(update, first, last), [&] { write(update, {first, {}}, n, cached); });
  }

  bool skips_final_tokens(int64_t tokens) const override {
    return batch_ * tokens >= 2 * kManyRows && tokens + 1 < model_.shape.tokens();
  }
  int stop_lag() const override { return stop_lag_; }

 private:
  // A single step: one graph serves all of a sequence, since it reads and moves on `position_`.
  void step(const kernels::GuidedUpdate& update) {
    if (next_step_ != update.first) position_.fill_(update.first);
    graphs_.run(key_of(update, -1, -1), [&] {
      write(update, {0, position_}, 1, /*cached=*/true);
      position_.add_(1);
    });
    next_step_ = update.first + 1;
  }

  static std::vector<int64_t> key_of(const kernels::GuidedUpdate& update, int64_t first,
                                     int64_t last) {
    std::vector<int64_t> key{first, last, std::bit_cast<int64_t>(update.cfg),
                             std::bit_cast<int64_t>(update.clamp)};
    for (const at::Tensor* tensor : {&update.x, &update.z, &update.change, &update.stopped}) {
      const void* const address = tensor->defined() ? tensor->const_data_ptr() : nullptr;
      key.push_back(std::bit_cast<int64_t>(address));
    }
    return key;
  }

  void write(kernels::GuidedUpdate update, const Position& place, int64_t n, bool cached) {
    update.outputs = outputs(update.x, place, n, cached, update.stopped);
    update.first = place.first;
    update.counter = place.counter;
    kernels::guided_update(update);
  }

  // (B, n, 2D) of tokens place .. place + n - 1; their keys and values are left in the cache if
  // `cached`, unless `stopped` is raised.
  at::Tensor outputs(const at::Tensor& x, const Position& place, int64_t n, bool cached,
                     const at::Tensor& stopped) const {
    const int64_t c = model_.shape.channels, rows = batch_ * n;
    const at::Tensor h = embedded(x, place, n), normed = make({rows, c});
    kernels::ResidualNorm norm;
    norm.h = h;
    norm.out = normed;
    for (size_t l = 0; l < block_.layers.size(); ++l) {
      const LayerWeights& w = block_.layers[l];
      const int64_t layer = static_cast<int64_t>(l);
      norm.shift = pending_[layer];
      norm.weight = w.attention_norm_weight;
      norm.bias = w.attention_norm_bias;
      kernels::residual_norm(norm);
      norm.added = kernels::product(mixed(normed, w, cache_[layer], place, n, cached, stopped),
                                    w.proj_weight);
      norm.shift = middle_[layer];
      norm.store = true;
      norm.weight = w.mlp_norm_weight;
      norm.bias = w.mlp_norm_bias;
      kernels::residual_norm(norm);
      norm.added = at::Tensor();
      norm.store = false;
      kernels::add_product(h, kernels::linear_gelu(normed, w.up_weight, w.up_bias), w.down_weight);
    }
    norm.shift = pending_[static_cast<int64_t>(block_.layers.size())];
    norm.weight = norm.bias = at::Tensor();
    kernels::residual_norm(norm);
    return kernels::linear(normed, block_.proj_out_weight, block_.proj_out_bias)
        .view({batch_, n, -1});
  }

  // The residual stream (B n, C) fp32 before the first layer. What it takes on the way is freed at
  // its end.
  at::Tensor embedded(const at::Tensor& x, const Position& place, int64_t n) const {
    const int64_t c = model_.shape.channels;
    const at::Tensor tokens = make({images_, n, padded_});
    kernels::take_tokens(x, place, tokens);
    const at::Tensor projected = kernels::product(tokens.view({-1, padded_}), proj_in_);
    const at::Tensor h = at::empty({batch_, n, c}, classes_.options());
    kernels::embed({projected.view({images_, n, c}), block_.position, classes_, place, h});
    return h.view({-1, c});
  }

  // Attention's output (B n, C) from its normed input. Queries, keys and values are freed at its
  // end: they do not lie beside the wide layer.
  at::Tensor mixed(const at::Tensor& normed, const LayerWeights& w, const at::Tensor& cache,
                   const Position& place, int64_t n, bool cached, const at::Tensor& stopped) const {
    const at::Tensor qkv = kernels::linear(normed, w.qkv_weight, w.qkv_bias)
                               .view({batch_, n, 3, model_.shape.heads(), kHeadWidth});
    return attend(qkv, cache, place, cached, stopped).reshape({-1, model_.shape.channels});
  }

  at::Tensor make(at::IntArrayRef shape) const {
    return at::empty(shape, classes_.options().dtype(model_.dtype()));
  }

  // qkv (B, n, 3, heads, 64) -> (B, n, heads, 64), maybe strided.
  at::Tensor attend(const at::Tensor& qkv, const at::Tensor& cache, const Position& place,
                    bool cached, const at::Tensor& stopped) const {
    const int64_t n = qkv.size(1);
    const at::Tensor keys = cache[0], values = cache[1];
    if (n == 1) {
      const at::Tensor out = make({batch_, model_.shape.heads(), kHeadWidth});
      kernels::decode_attention(
          {qkv.select(1, 0), keys, values, place, images_, query_scale_, stopped, out});
      return out;
    }
    if (cached) kernels::store_keys_values({qkv, keys, values, place, stopped});
    kernels::Attention work{qkv.select(2, 0), qkv.select(2, 1), qkv.select(2, 2), images_,
                            query_scale_};
    // Over the first tokens the fresh keys serve as well as those in the cache.
    if (place.first > 0) {
      const int64_t last = place.first + n;
      work.keys = keys.slice(2, 0, last).transpose(1, 2);
      work.values = values.slice(2, 0, last).transpose(1, 2);
    }
    return kernels::attention(work);
  }

  static constexpr int64_t kManyRows = 4096;

  const Model& model_;
  const int64_t images_, batch_;
  const double query_scale_;
  const int stop_lag_;
  Graphs graphs_;
  BlockWeights block_;  // a copy of the one at hand
  at::Tensor proj_in_;  // (C, padded_): its proj_in, zeros beyond D
  int64_t padded_ = 0;
  // (L + 1, C), (L, C) fp32: biases that layers have given and h lacks, before attention and before
  // the wide layer.
  at::Tensor pending_, middle_;
  at::Tensor classes_;     // (B, C) fp32: the bias of proj_in + class
  at::Tensor cache_;       // (L, 2, B, heads, T, 64): keys, then values
  at::Tensor position_;    // (1) int64: the next single step's token
  int64_t next_step_ = 0;  // what position_ will be once the device has done all it was given
};

}  // namespace

bool can_fuse(const Model& model) { return FusedEvaluator::can_fuse(model); }

std::unique_ptr<Evaluator> make_fused_evaluator(const Model& model, int64_t images,
                                                const Guidance& guidance,
                                                std::optional<int> stop_lag) {
  return std::make_unique<FusedEvaluator>(model, images, guidance,
                                          stop_lag.value_or(model.device.is_cuda() ? 1 : 0));
}

}  // namespace tarflow
