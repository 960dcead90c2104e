// The evaluator for GPUs: cuBLAS and the attention of LibTorch with kernels of our own between
// them, given to the device as CUDA graphs. On a CPU the kernels' twins do the same, slowly.
#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "framework/kernels/attention.h"
#include "framework/kernels/decode_attention.h"
#include "framework/kernels/embed.h"
#include "framework/kernels/linear.h"
#include "framework/kernels/residual_norm.h"
#include "framework/kernels/store_keys_values.h"
#include "framework/sampling/evaluator.h"

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
  FusedEvaluator(const Model& model, int64_t capacity, const Guidance& guidance, int stop_lag)
      : Evaluator(model, capacity, guidance),
        query_scale_(1.0 / guidance.attn_temp),
        stop_lag_(stop_lag) {
    const ModelShape& shape = model.shape;
    if (!can_fuse(model)) throw std::logic_error("too many channels for the fused evaluator");
    const auto full = at::TensorOptions().device(model.device).dtype(at::kFloat);
    cache_room_ = at::empty({cache_elements(shape, most_rows())}, full.dtype(model.dtype()));
    class_room_ = at::zeros({most_rows(), shape.channels}, full);
    length_room_ = at::zeros({2 * most_rows()}, full.dtype(at::kInt));
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

  bool skips_final_tokens(int64_t tokens) const override {
    return batch_ * tokens >= 2 * kManyRows && tokens + 1 < model_.shape.tokens();
  }
  int stop_lag() const override { return stop_lag_; }
  bool reads_place() const override {
    return stop_lag_ > 0 && (model_.device.is_cpu() || model_.compute == ComputeType::kBFloat16);
  }

  void clean_cache(const at::Tensor& lost) override {
    if (clean_) {
      kernels::clear_keys_values(cache_, lost);
    } else {
      cache_.zero_();
    }
    window_ = true;
  }

  // A graph saves nothing where the device works longer than the host needs for the next step.
  // Without a graph a step can leave out final tokens, whose number differs from step to step. The
  // width of a window does not change: one graph serves a whole block.
  bool records(const Step& step) const override {
    const bool window = step.width > 1 && step.place.counter.defined();
    return step.width == 1 || batch_ * step.width < (window ? kManyWindowRows : kManyRows);
  }

 private:
  // The block's weights move to where the graphs read them: a thousandth of an iteration's work.
  void turn_to(int block, const Labels& labels) override {
    clean_ = std::exchange(window_, false);
    make_room();
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

  // The cache and the classes of N images lie at the beginning of their rooms.
  void make_room() {
    if (batch_ == rows()) return;
    batch_ = rows();
    clean_ = false;
    const ModelShape& shape = model_.shape;
    const std::vector<int64_t> sizes = {shape.layers,   2,         batch_, shape.heads(),
                                        shape.tokens(), kHeadWidth};
    cache_ = cache_room_.slice(0, 0, cache_elements(shape, batch_)).view(sizes);
    classes_ = class_room_.slice(0, 0, batch_);
  }

  at::Tensor outputs_of(const at::Tensor& x, const Step& step) override {
    return outputs(x, step.place, step.width, rows(step), step.cached, step.stopped);
  }

  // (B, n, 2D) of tokens place .. place + n - 1; their keys and values are left in the cache if
  // `cached`, unless `stopped` is raised.
  at::Tensor outputs(const at::Tensor& x, const Position& place, int64_t n, int64_t batch,
                     bool cached, const at::Tensor& stopped) const {
    const int64_t c = model_.shape.channels, rows = batch * n;
    if (n > 1 && place.counter.defined())
      kernels::set_lengths(place, n, model_.shape.tokens(), lengths(batch));
    const at::Tensor h = embedded(x, place, n, batch), normed = make({rows, c});
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
      norm.added = mixed(normed, w, cache_[layer], place, n, cached, stopped);
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
        .view({batch, n, -1});
  }

  // The residual stream (B n, C) fp32 before the first layer. What it takes on the way is freed at
  // its end.
  at::Tensor embedded(const at::Tensor& x, const Position& place, int64_t n, int64_t batch) const {
    const int64_t c = model_.shape.channels;
    const at::Tensor tokens = make({images_, n, padded_});
    kernels::take_tokens(x, place, tokens);
    const at::Tensor projected = kernels::product(tokens.view({-1, padded_}), proj_in_);
    const at::Tensor h = at::empty({batch, n, c}, classes_.options());
    kernels::embed({projected.view({images_, n, c}), block_.position, classes_.slice(0, 0, batch),
                    place, h});
    return h.view({-1, c});
  }

  // What attention adds to the residual stream, without its bias, (B n, C), from its normed input.
  // Queries, keys and values are freed at its end: they do not lie beside the wide layer.
  at::Tensor mixed(const at::Tensor& normed, const LayerWeights& w, const at::Tensor& cache,
                   const Position& place, int64_t n, bool cached, const at::Tensor& stopped) const {
    const at::Tensor qkv = kernels::linear(normed, w.qkv_weight, w.qkv_bias)
                               .view({-1, n, 3, model_.shape.heads(), kHeadWidth});
    const int64_t c = model_.shape.channels;
    const std::vector<at::Tensor> parts = attend(qkv, cache, place, cached, stopped);
    if (parts.size() == 1) return kernels::product(parts.front().reshape({-1, c}), w.proj_weight);
    const at::Tensor all = make({qkv.size(0) * n, c});
    int64_t first = 0;
    for (const at::Tensor& part : parts) {
      const at::Tensor rows = part.reshape({-1, c});
      kernels::product_into(all.slice(0, first, first + rows.size(0)), rows, w.proj_weight);
      first += rows.size(0);
    }
    return all;
  }

  at::Tensor make(at::IntArrayRef shape) const {
    return at::empty(shape, classes_.options().dtype(model_.dtype()));
  }

  // qkv (B, n, 3, heads, 64) -> (B, n, heads, 64), maybe strided, in parts along B.
  std::vector<at::Tensor> attend(const at::Tensor& qkv, const at::Tensor& cache, const Position& place,
                    bool cached, const at::Tensor& stopped) const {
    const int64_t batch = qkv.size(0), n = qkv.size(1);
    const at::Tensor keys = cache[0].slice(0, 0, batch), values = cache[1].slice(0, 0, batch);
    if (n == 1) {
      const at::Tensor out = make({batch, model_.shape.heads(), kHeadWidth});
      kernels::decode_attention(
          {qkv.select(1, 0), keys, values, place, images_, query_scale_, stopped, out});
      return {out};
    }
    if (cached) kernels::store_keys_values({qkv, keys, values, place, stopped});
    kernels::Attention work{qkv.select(2, 0), qkv.select(2, 1), qkv.select(2, 2), images_,
                            query_scale_};
    if (place.counter.defined()) {
      work.keys = keys.transpose(1, 2);
      work.values = values.transpose(1, 2);
      work.lengths = lengths(batch);
    } else if (place.first > 0) {
      // Over the first tokens the fresh keys serve as well as those in the cache.
      const int64_t last = place.first + n;
      work.keys = keys.slice(2, 0, last).transpose(1, 2);
      work.values = values.slice(2, 0, last).transpose(1, 2);
    }
    return kernels::attention_parts(work);
  }

  // (2, B) int32: queries and keys of an evaluation whose place only the device knows.
  at::Tensor lengths(int64_t batch) const {
    return length_room_.slice(0, 0, 2 * batch).view({2, batch});
  }

  static constexpr int64_t kManyRows = 4096, kManyWindowRows = 1 << 17;

  int64_t batch_ = 0;  // rows of the block at hand
  const double query_scale_;
  const int stop_lag_;
  // Whether this block is inverted by windows, and whether the one before was: then the cache is
  // finite but for the images that it lost.
  bool window_ = false, clean_ = false;
  BlockWeights block_;  // a copy of the one at hand
  at::Tensor proj_in_;  // (C, padded_): its proj_in, zeros beyond D
  int64_t padded_ = 0;
  // (L + 1, C), (L, C) fp32: biases that layers have given and h lacks, before attention and before
  // the wide layer.
  at::Tensor pending_, middle_;
  at::Tensor class_room_, cache_room_, length_room_;  // of the capacity
  at::Tensor classes_;                  // (B, C) fp32: the bias of proj_in + class
  at::Tensor cache_;                    // (L, 2, B, heads, T, 64): keys, then values
};

}  // namespace

bool can_fuse(const Model& model) { return FusedEvaluator::can_fuse(model); }

EvaluatorBytes fused_bytes(const Model& model, int64_t rows, int64_t longest) {
  const ModelShape& shape = model.shape;
  const int64_t c = shape.channels, d = shape.token_width(),
                element = at::elementSize(model.dtype()), full = at::elementSize(at::kFloat);
  EvaluatorBytes bytes;
  bytes.cache = cache_elements(shape, rows) * element;
  // The residual stream; a norm's output; q, k, v, what attention made of them, twice where the two
  // passes have scales of their own, and its product: more than the wide layer, which comes after
  // they are freed; the outputs.
  bytes.activations = rows * longest * (c * full + 7 * c * element + 2 * d * (element + full));
  bytes.activations += 2 * kernels::most_decode_scratch(rows * shape.heads());  // graphs have their own
  return bytes;
}

std::unique_ptr<Evaluator> make_fused_evaluator(const Model& model, int64_t capacity,
                                                const Guidance& guidance,
                                                std::optional<int> stop_lag) {
  return std::make_unique<FusedEvaluator>(model, capacity, guidance,
                                          stop_lag.value_or(model.device.is_cuda() ? 1 : 0));
}

}  // namespace tarflow
