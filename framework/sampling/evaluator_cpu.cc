// The evaluator for fp32 on CPUs. Each thread computes a few sequences through all layers of the
// block. So activations stay in the thread's cache, and threads wait for each other only at the end
// of an evaluation.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "framework/kernels/gemm.h"
#include "framework/kernels/vector_math.h"
#include "framework/sampling/evaluator.h"
#include "framework/tensor/range.h"

namespace tarflow {
namespace {

// Tokens that a thread computes at once. Their MLP activations fit into a cache of 1 MB.
constexpr int64_t kTileRows = 256;

// The weights (outs, ins) of a linear layer, in the layout that VectorMath::multiply reads.
struct Packed {
  std::vector<float> weight;
  int64_t outs = 0, ins = 0;
};

Packed pack(const kernels::VectorMath& math, const at::Tensor& weight) {
  Packed packed{{}, weight.size(0), weight.size(1)};
  packed.weight.resize(static_cast<size_t>(math.packed_size(packed.outs, packed.ins)));
  math.pack(weight.const_data_ptr<float>(), packed.outs, packed.ins, packed.weight.data());
  return packed;
}

struct Layer {
  Packed qkv, proj, up, down;
  const LayerWeights* weights;
};

struct Block {
  Packed proj_in, proj_out;
  std::vector<Layer> layers;
};

Block pack(const kernels::VectorMath& math, const BlockWeights& block) {
  Block packed{pack(math, block.proj_in_weight), pack(math, block.proj_out_weight), {}};
  for (const LayerWeights& w : block.layers) {
    packed.layers.push_back({pack(math, w.qkv_weight), pack(math, w.proj_weight),
                             pack(math, w.up_weight), pack(math, w.down_weight), &w});
  }
  return packed;
}

const float* data(const at::Tensor& tensor) { return tensor.const_data_ptr<float>(); }

// Work space of one thread for `rows` tokens. A sequence has `n` inputs. An input sees at most
// `keys` keys.
struct Scratch {
  std::vector<float> input, hidden, normed, wide, scores;

  void resize(const ModelShape& shape, int64_t rows, int64_t n, int64_t keys) {
    const auto elements = [](int64_t count) { return static_cast<size_t>(count); };
    input.resize(elements(rows * shape.token_width()));
    hidden.resize(elements(rows * shape.channels));
    normed.resize(elements(rows * shape.channels));
    wide.resize(elements(rows * 4 * shape.channels));
    scores.resize(elements(n * keys));
  }
  static int64_t elements(const ModelShape& shape, int64_t rows, int64_t n, int64_t keys) {
    return rows * (shape.token_width() + 6 * shape.channels) + n * keys;
  }
};

int64_t output_elements(const ModelShape& shape, int64_t rows) {
  return rows * shape.tokens() * 2 * shape.token_width();
}

class CpuEvaluator final : public Evaluator {
 public:
  CpuEvaluator(const Model& model, int64_t capacity, const Guidance& guidance)
      : Evaluator(model, capacity, guidance),
        unconditional_scale_(static_cast<float>(0.125 / guidance.attn_temp)),
        math_(kernels::vector_math()) {
    if (!model.device.is_cpu() || model.compute != ComputeType::kFloat32) {
      throw std::logic_error("the CPU evaluator takes fp32 models on a CPU");
    }
    const ModelShape& shape = model.shape;
    cache_ = at::empty({cache_elements(shape, most_rows())}, at::kFloat);
    outputs_ = at::empty({output_elements(shape, most_rows())}, at::kFloat);
    scratch_.resize(static_cast<size_t>(at::get_num_threads()));
    for (const BlockWeights& block : model.blocks) blocks_.push_back(pack(math_, block));
  }

  bool skips_final_tokens(int64_t) const override { return true; }

 private:
  void turn_to(int block, const Labels& labels) override {
    batch_ = rows();
    block_ = &model_.blocks.at(static_cast<size_t>(block));
    packed_ = &blocks_.at(static_cast<size_t>(block));
    const int64_t c = model_.shape.channels;
    classes_ = at::zeros({batch_, c}, at::kFloat);
    const at::Tensor conditional = class_embedding(model_, *block_, labels);
    if (!conditional.defined()) return;
    classes_.slice(0, 0, images_).copy_(conditional.view({-1, c}).expand({images_, c}));
    if (batch_ > images_) classes_.slice(0, images_).copy_(block_->class_mean.expand({images_, c}));
  }

  at::Tensor outputs_of(const at::Tensor& x, const Step& step) override {
    const int64_t first = step.place.token(), n = step.width, batch = rows(step),
                  width = 2 * model_.shape.token_width();
    const at::Tensor outputs = outputs_.slice(0, 0, batch * n * width).view({batch, n, width});
    stopped_ = step.stopped.defined() ? step.stopped.const_data_ptr<int>() : nullptr;
    const float* input = x.const_data_ptr<float>();
    float* out = outputs.mutable_data_ptr<float>();
    const int64_t threads = static_cast<int64_t>(scratch_.size());
    // A tile has whole sequences. Tiles fit into the cache, and there is one for every thread.
    const int64_t tile =
        std::clamp(kTileRows / n, int64_t{1}, std::max<int64_t>(1, batch / threads));
    const int64_t tiles = (batch + tile - 1) / tile;
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
      Scratch& scratch = scratch_[static_cast<size_t>(at::get_thread_num())];
      for (int64_t i = begin; i < end; ++i) {
        run_tile(scratch, input, i * tile, std::min(batch, (i + 1) * tile), first, n, out);
      }
    });
    return outputs;
  }

  // Whether the row's image has stopped. The cache of such a row must not change.
  bool frozen(int64_t row) const { return stopped_ && stopped_[row % images_] != 0; }

  // Sequences [lo, hi) with tokens [first, first + n).
  void run_tile(Scratch& s, const float* x, int64_t lo, int64_t hi, int64_t first, int64_t n,
                float* out) const {
    bool active = false;  // whether a sequence has not stopped
    for (int64_t b = lo; b < hi && !active; ++b) active = !frozen(b);
    if (!active) return;
    const ModelShape& shape = model_.shape;
    const int64_t c = shape.channels, d = shape.token_width(), t = shape.tokens(),
                  rows = (hi - lo) * n;
    s.resize(shape, rows, n, first + n);
    for (int64_t b = lo; b < hi; ++b) {
      const float* tokens = x + ((b % images_) * t + first) * d;
      std::copy(tokens, tokens + n * d, s.input.data() + (b - lo) * n * d);
    }
    embed(s, lo, hi, first, n);
    const float* bias = nullptr;  // of the previous layer; the next norm adds it
    for (size_t l = 0; l < packed_->layers.size(); ++l) {
      const Layer& layer = packed_->layers[l];
      const LayerWeights& w = *layer.weights;
      math_.bias_layer_norm(s.hidden.data(), bias, data(w.attention_norm_weight),
                            data(w.attention_norm_bias), s.normed.data(), rows, c);
      multiply(s.normed, layer.qkv, s.wide.data(), rows, false);
      attention(s, data(w.qkv_bias), static_cast<int64_t>(l), lo, hi, first, n);
      multiply(s.normed, layer.proj, s.hidden.data(), rows, true);
      math_.bias_layer_norm(s.hidden.data(), data(w.proj_bias), data(w.mlp_norm_weight),
                            data(w.mlp_norm_bias), s.normed.data(), rows, c);
      multiply(s.normed, layer.up, s.wide.data(), rows, false);
      math_.bias_gelu(s.wide.data(), data(w.up_bias), rows, 4 * c);
      multiply(s.wide, layer.down, s.hidden.data(), rows, true);
      bias = data(w.down_bias);
    }
    if (bias) math_.add_bias(s.hidden.data(), bias, rows, c);
    float* tile_out = out + lo * n * 2 * d;
    multiply(s.hidden, packed_->proj_out, tile_out, rows, false);
    math_.add_bias(tile_out, data(block_->proj_out_bias), rows, 2 * d);
  }

  // out (rows, outs) = in (rows, ins) W^T; if `add`, the product is added to out.
  void multiply(const std::vector<float>& in, const Packed& weight, float* out, int64_t rows,
                bool add) const {
    const Range range("matrix products");
    math_.multiply(in.data(), weight.weight.data(), out, rows, weight.ins, weight.outs, add);
  }

  // hidden = proj_in(input) + position + class
  void embed(Scratch& s, int64_t lo, int64_t hi, int64_t first, int64_t n) const {
    const int64_t c = model_.shape.channels;
    multiply(s.input, packed_->proj_in, s.hidden.data(), (hi - lo) * n, false);
    math_.add_bias(s.hidden.data(), data(block_->proj_in_bias), (hi - lo) * n, c);
    const float* position = data(block_->position) + first * c;
    for (int64_t b = lo; b < hi; ++b) {
      float* h = s.hidden.data() + (b - lo) * n * c;
      math_.add_bias(h, position, 1, n * c);
      math_.add_bias(h, data(classes_) + b * c, n, c);
    }
  }

  // Reads q | k | v without bias from `wide` (rows, 3C). Writes keys and values to the cache, and
  // the output of attention to `normed`.
  void attention(Scratch& s, const float* bias, int64_t layer, int64_t lo, int64_t hi,
                 int64_t first, int64_t n) const {
    const Range range("attention");
    const int64_t c = model_.shape.channels, heads = model_.shape.heads(),
                  t = model_.shape.tokens();
    const int64_t part = batch_ * heads * t * kHeadWidth;  // keys, then values
    float* const cache = cache_.mutable_data_ptr<float>() + layer * 2 * part;
    for (int64_t b = lo; b < hi; ++b) {
      if (frozen(b)) continue;
      const float scale = b < images_ ? 0.125f : unconditional_scale_;
      float* const rows = s.wide.data() + (b - lo) * n * 3 * c;
      float* const mixed = s.normed.data() + (b - lo) * n * c;
      for (int64_t head = 0; head < heads; ++head) {
        float* const keys = cache + (b * heads + head) * t * kHeadWidth;
        float* const values = keys + part;
        const int64_t channel = head * kHeadWidth;
        for (int64_t i = 0; i < n; ++i) {
          float* row = rows + i * 3 * c;
          math_.bias_scale(row + channel, bias + channel, scale, row + channel, kHeadWidth);
          math_.bias_scale(row + c + channel, bias + c + channel, 1,
                           keys + (first + i) * kHeadWidth, kHeadWidth);
          math_.bias_scale(row + 2 * c + channel, bias + 2 * c + channel, 1,
                           values + (first + i) * kHeadWidth, kHeadWidth);
        }
        attend_head(s, rows + channel, 3 * c, keys, values, first, n, mixed + channel, c);
      }
    }
  }

  // Attention of n scaled queries over keys [0, first + n). `stride` and `out_stride`: floats from
  // one row of `queries` and `out` to the next.
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

  int64_t batch_ = 0;  // rows of the current block
  const float unconditional_scale_;
  const kernels::VectorMath& math_;
  at::Tensor cache_;                      // (L, 2, B, heads, T, 64): keys, then values
  at::Tensor outputs_;                    // (B, width, 2D) of the current step
  const int* stopped_ = nullptr;          // (N): flags of the current step
  at::Tensor classes_;                    // (B, C)
  mutable std::vector<Scratch> scratch_;  // one per thread
  std::vector<Block> blocks_;
  const BlockWeights* block_ = nullptr;  // the current block
  const Block* packed_ = nullptr;
};

}  // namespace

EvaluatorBytes cpu_bytes(const Model& model, int64_t rows, int64_t longest) {
  const ModelShape& shape = model.shape;
  const kernels::VectorMath& math = kernels::vector_math();
  const int64_t c = shape.channels, d = shape.token_width(), float_bytes = sizeof(float);
  const int64_t layer = math.packed_size(3 * c, c) + math.packed_size(c, c) +
                        math.packed_size(4 * c, c) + math.packed_size(c, 4 * c);
  const int64_t block = math.packed_size(c, d) + math.packed_size(2 * d, c) + shape.layers * layer;
  // The most tokens that a tile of whole sequences has.
  const int64_t tile = std::min(rows * longest, std::max(kTileRows, longest));
  EvaluatorBytes bytes;
  bytes.packed = shape.blocks * block * float_bytes;
  bytes.cache = cache_elements(shape, rows) * float_bytes;
  bytes.activations =
      (output_elements(shape, rows) +
       at::get_num_threads() * Scratch::elements(shape, tile, longest, shape.tokens())) *
      float_bytes;
  return bytes;
}

std::unique_ptr<Evaluator> make_cpu_evaluator(const Model& model, int64_t capacity,
                                              const Guidance& guidance) {
  return std::make_unique<CpuEvaluator>(model, capacity, guidance);
}

}  // namespace tarflow
