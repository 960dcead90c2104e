// Each thread carries a few sequences through all layers of the block, so that activations stay in
// its cache and threads meet only at the end of an evaluation.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "framework/kernels/gemm.h"
#include "framework/kernels/vector_math.h"
#include "framework/sampling/evaluator.h"

namespace tarflow {
namespace {

constexpr int64_t kTileRows =
    256;  // tokens a thread works on at once: their MLP activations fit a 1 MB cache

// out (rows, outs) = in (rows, ins) W^T + beta out; W is (outs, ins).
void multiply(const float* in, const float* weight, float* out, int64_t rows, int64_t ins,
              int64_t outs, float beta) {
  kernels::gemm_nt(rows, outs, ins, in, ins, weight, ins, beta, out, outs);
}

struct Layer {
  const float *attention_norm_weight, *attention_norm_bias, *qkv_weight, *qkv_bias, *proj_weight,
      *proj_bias;
  const float *mlp_norm_weight, *mlp_norm_bias, *up_weight, *up_bias, *down_weight, *down_bias;
};

Layer pointers(const LayerWeights& w) {
  const auto at = [](const at::Tensor& tensor) { return tensor.const_data_ptr<float>(); };
  return {at(w.attention_norm_weight),
          at(w.attention_norm_bias),
          at(w.qkv_weight),
          at(w.qkv_bias),
          at(w.proj_weight),
          at(w.proj_bias),
          at(w.mlp_norm_weight),
          at(w.mlp_norm_bias),
          at(w.up_weight),
          at(w.up_bias),
          at(w.down_weight),
          at(w.down_bias)};
}

// Work space of one thread for `rows` tokens.
struct Scratch {
  std::vector<float> input, hidden, normed, wide, scores;
};

class CpuEvaluator final : public Evaluator {
 public:
  CpuEvaluator(const Model& model, int64_t images, const Guidance& guidance)
      : model_(model),
        images_(images),
        batch_(guidance.doubled(model.shape) ? 2 * images : images),
        unconditional_scale_(static_cast<float>(0.125 / guidance.attn_temp)),
        math_(kernels::vector_math()) {
    if (!model.device.is_cpu() || model.compute != ComputeType::kFloat32) {
      throw std::logic_error("the CPU evaluator takes fp32 models on a CPU");
    }
    const ModelShape& shape = model.shape;
    cache_ =
        at::empty({shape.layers, 2, batch_, shape.heads(), shape.tokens(), kHeadWidth}, at::kFloat);
    outputs_ = at::empty({batch_ * shape.tokens() * 2 * shape.token_width()}, at::kFloat);
    scratch_.resize(static_cast<size_t>(at::get_num_threads()));
  }

  void begin(int block, const Labels& labels) override {
    block_ = &model_.blocks.at(static_cast<size_t>(block));
    layers_.clear();
    for (const LayerWeights& layer : block_->layers) layers_.push_back(pointers(layer));
    const int64_t c = model_.shape.channels;
    classes_ = at::zeros({batch_, c}, at::kFloat);
    const at::Tensor conditional = class_embedding(model_, *block_, labels);
    if (!conditional.defined()) return;
    classes_.slice(0, 0, images_).copy_(conditional.view({-1, c}).expand({images_, c}));
    if (batch_ > images_) classes_.slice(0, images_).copy_(block_->class_mean.expand({images_, c}));
  }

  at::Tensor evaluate(const at::Tensor& x, int64_t first, int64_t last) override {
    const int64_t n = last - first, width = 2 * model_.shape.token_width();
    const at::Tensor outputs = outputs_.slice(0, 0, batch_ * n * width).view({batch_, n, width});
    const float* input = x.const_data_ptr<float>();
    float* out = outputs.mutable_data_ptr<float>();
    const int64_t threads = static_cast<int64_t>(scratch_.size());
    // Tiles of whole sequences: small enough for the cache, and enough of them for every thread.
    const int64_t tile =
        std::clamp(kTileRows / n, int64_t{1}, std::max<int64_t>(1, batch_ / threads));
    const int64_t tiles = (batch_ + tile - 1) / tile;
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
      Scratch& scratch = scratch_[static_cast<size_t>(at::get_thread_num())];
      for (int64_t i = begin; i < end; ++i) {
        run_tile(scratch, input, i * tile, std::min(batch_, (i + 1) * tile), first, n, out);
      }
    });
    return outputs;
  }

  bool skips_final_tokens() const override { return true; }

 private:
  // Sequences [lo, hi) with tokens [first, first + n).
  void run_tile(Scratch& s, const float* x, int64_t lo, int64_t hi, int64_t first, int64_t n,
                float* out) const {
    const ModelShape& shape = model_.shape;
    const int64_t c = shape.channels, d = shape.token_width(), t = shape.tokens(),
                  rows = (hi - lo) * n;
    s.input.resize(static_cast<size_t>(rows * d));
    s.hidden.resize(static_cast<size_t>(rows * c));
    s.normed.resize(static_cast<size_t>(rows * c));
    s.wide.resize(static_cast<size_t>(rows * 4 * c));
    s.scores.resize(static_cast<size_t>(n * (first + n)));
    for (int64_t b = lo; b < hi; ++b) {
      const float* tokens = x + ((b % images_) * t + first) * d;
      std::copy(tokens, tokens + n * d, s.input.data() + (b - lo) * n * d);
    }
    embed(s, lo, hi, first, n);
    const float* bias = nullptr;  // of the layer before, added on the way into the next norm
    for (size_t l = 0; l < layers_.size(); ++l) {
      const Layer& w = layers_[l];
      math_.bias_layer_norm(s.hidden.data(), bias, w.attention_norm_weight, w.attention_norm_bias,
                            s.normed.data(), rows, c);
      multiply(s.normed.data(), w.qkv_weight, s.wide.data(), rows, c, 3 * c, 0);
      attention(s, w, static_cast<int64_t>(l), lo, hi, first, n);
      multiply(s.normed.data(), w.proj_weight, s.hidden.data(), rows, c, c, 1);
      math_.bias_layer_norm(s.hidden.data(), w.proj_bias, w.mlp_norm_weight, w.mlp_norm_bias,
                            s.normed.data(), rows, c);
      multiply(s.normed.data(), w.up_weight, s.wide.data(), rows, c, 4 * c, 0);
      math_.bias_gelu(s.wide.data(), w.up_bias, rows, 4 * c);
      multiply(s.wide.data(), w.down_weight, s.hidden.data(), rows, 4 * c, c, 1);
      bias = w.down_bias;
    }
    if (bias) math_.add_bias(s.hidden.data(), bias, rows, c);
    float* tile_out = out + lo * n * 2 * d;
    multiply(s.hidden.data(), block_->proj_out_weight.const_data_ptr<float>(), tile_out, rows, c,
             2 * d, 0);
    math_.add_bias(tile_out, block_->proj_out_bias.const_data_ptr<float>(), rows, 2 * d);
  }

  // hidden = proj_in(input) + position + class
  void embed(Scratch& s, int64_t lo, int64_t hi, int64_t first, int64_t n) const {
    const int64_t c = model_.shape.channels;
    multiply(s.input.data(), block_->proj_in_weight.const_data_ptr<float>(), s.hidden.data(),
             (hi - lo) * n, model_.shape.token_width(), c, 0);
    math_.add_bias(s.hidden.data(), block_->proj_in_bias.const_data_ptr<float>(), (hi - lo) * n, c);
    const float* position = block_->position.const_data_ptr<float>() + first * c;
    for (int64_t b = lo; b < hi; ++b) {
      float* h = s.hidden.data() + (b - lo) * n * c;
      math_.add_bias(h, position, 1, n * c);
      math_.add_bias(h, classes_.const_data_ptr<float>() + b * c, n, c);
    }
  }

  // wide holds q | k | v without bias (rows, 3C); keys and values go to the cache, the mixed values
  // to normed.
  void attention(Scratch& s, const Layer& w, int64_t layer, int64_t lo, int64_t hi, int64_t first,
                 int64_t n) const {
    const int64_t c = model_.shape.channels, heads = model_.shape.heads(),
                  t = model_.shape.tokens();
    const int64_t part = batch_ * heads * t * kHeadWidth;  // keys, then values
    float* const cache = cache_.mutable_data_ptr<float>() + layer * 2 * part;
    for (int64_t b = lo; b < hi; ++b) {
      const float scale = b < images_ ? 0.125f : unconditional_scale_;
      float* const rows = s.wide.data() + (b - lo) * n * 3 * c;
      float* const mixed = s.normed.data() + (b - lo) * n * c;
      for (int64_t head = 0; head < heads; ++head) {
        float* const keys = cache + (b * heads + head) * t * kHeadWidth;
        float* const values = keys + part;
        const int64_t at = head * kHeadWidth;
        for (int64_t i = 0; i < n; ++i) {
          float* row = rows + i * 3 * c;
          math_.bias_scale(row + at, w.qkv_bias + at, scale, row + at, kHeadWidth);
          math_.bias_scale(row + c + at, w.qkv_bias + c + at, 1, keys + (first + i) * kHeadWidth,
                           kHeadWidth);
          math_.bias_scale(row + 2 * c + at, w.qkv_bias + 2 * c + at, 1,
                           values + (first + i) * kHeadWidth, kHeadWidth);
        }
        attend_head(s, rows + at, 3 * c, keys, values, first, n, mixed + at, c);
      }
    }
  }

  // n scaled queries (row stride `stride`) over keys [0, first + n) -> out (row stride
  // `out_stride`).
  void attend_head(Scratch& s, const float* queries, int64_t stride, const float* keys,
                   const float* values, int64_t first, int64_t n, float* out,
                   int64_t out_stride) const {
    const int64_t count = first + n;
    float* const scores = s.scores.data();
    if (n == 1) {
      math_.attend_one(queries, keys, values, count, scores, out);
      return;
    }
    kernels::gemm_nt(n, count, kHeadWidth, queries, stride, keys, kHeadWidth, 0, scores, count);
    math_.causal_softmax(scores, n, first + 1, count);
    kernels::gemm_nn(n, kHeadWidth, count, scores, count, values, kHeadWidth, 0, out, out_stride);
  }

  const Model& model_;
  const int64_t images_, batch_;
  const float unconditional_scale_;
  const kernels::VectorMath& math_;
  at::Tensor cache_;                      // (L, 2, B, heads, T, 64): keys, then values
  at::Tensor outputs_;                    // room for (B, T, 2D)
  at::Tensor classes_;                    // (B, C)
  mutable std::vector<Scratch> scratch_;  // one a thread
  const BlockWeights* block_ = nullptr;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Evaluator> make_cpu_evaluator(const Model& model, int64_t images,
                                              const Guidance& guidance) {
  return std::make_unique<CpuEvaluator>(model, images, guidance);
}

}  // namespace tarflow
