#include "framework/kernels/attention.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "framework/kernels/cudnn_attention.h"

namespace tarflow::kernels {
namespace {

// A plan of cuDNN's takes tens of milliseconds to make. That pays for a pass that is repeated, not
// for the few tokens of a test.
constexpr int64_t kLeastForCudnn = 128;

constexpr double kScale = 0.125;  // of the scores, 1 / sqrt(64)

struct Rows {
  at::Tensor query, keys, values;  // as in Attention
  double scale = kScale;
  at::Tensor lengths = {};
};

// As many queries as keys.
at::Tensor over_themselves(const Rows& rows) {
  const at::Tensor query = rows.query.transpose(1, 2), keys = rows.keys.transpose(1, 2),
                   values = rows.values.transpose(1, 2);
  const bool causal = query.size(2) > 1;
  const bool cudnn =
      query.is_cuda() && query.scalar_type() == at::kBFloat16 && query.size(2) >= kLeastForCudnn;
  const at::Tensor mixed =
      cudnn ? std::get<0>(at::_scaled_dot_product_cudnn_attention(
                  query, keys, values, {}, /*compute_log_sumexp=*/false, /*dropout_p=*/0.0, causal,
                  /*return_debug_mask=*/false, rows.scale))
            : at::scaled_dot_product_attention(query, keys, values, {}, /*dropout_p=*/0.0, causal,
                                               rows.scale);
  return mixed.transpose(1, 2);
}

// Fewer queries than keys, on a CPU: with a dense mask.
at::Tensor over_prefix_cpu(const Rows& rows) {
  const int64_t n = rows.query.size(1), m = rows.keys.size(1);
  std::optional<at::Tensor> mask;
  if (n > 1) mask = at::triu(at::full({n, m}, -INFINITY, rows.query.options()), m - n + 1);
  return at::scaled_dot_product_attention(rows.query.transpose(1, 2), rows.keys.transpose(1, 2),
                                          rows.values.transpose(1, 2), mask, /*dropout_p=*/0.0,
                                          /*is_causal=*/false, rows.scale)
      .transpose(1, 2);
}

// Fewer queries than keys, on a GPU: by named kernels, since scaled_dot_product_attention may
// choose cuDNN, which would make a plan for each number of keys.
at::Tensor over_prefix_cuda(const Rows& rows) {
  const int64_t n = rows.query.size(1), m = rows.keys.size(1);
  if (rows.query.scalar_type() != at::kFloat) {
    return std::get<0>(at::_flash_attention_forward(rows.query, rows.keys, rows.values, {}, {}, n,
                                                    m,
                                                    /*dropout_p=*/0.0, /*is_causal=*/n > 1,
                                                    /*return_debug_mask=*/false, rows.scale));
  }
  constexpr int64_t kNoMask = 0, kLowerRight = 2;
  return std::get<0>(at::_efficient_attention_forward(
      rows.query, rows.keys, rows.values, {}, {}, {}, {}, {}, /*dropout_p=*/0.0,
      n > 1 ? kLowerRight : kNoMask, /*compute_log_sumexp=*/false, rows.scale));
}

at::Tensor attend(const Rows& rows);

// On a CPU the lengths can be read.
at::Tensor over_lengths(const Rows& rows) {
  if (rows.query.is_cuda()) {
    return cudnn_attention({rows.query, rows.keys, rows.values, rows.lengths[0], rows.lengths[1],
                            rows.scale});
  }
  const int64_t queries = rows.lengths[0][0].item<int>(), keys = rows.lengths[1][0].item<int>();
  at::Tensor out = at::zeros(rows.query.sizes(), rows.query.options());
  out.slice(1, 0, queries)
      .copy_(attend({rows.query.slice(1, 0, queries), rows.keys.slice(1, 0, keys),
                     rows.values.slice(1, 0, keys), rows.scale}));
  return out;
}

at::Tensor attend(const Rows& rows) {
  if (rows.lengths.defined()) return over_lengths(rows);
  if (rows.query.size(1) == rows.keys.size(1)) return over_themselves(rows);
  return rows.query.is_cpu() ? over_prefix_cpu(rows) : over_prefix_cuda(rows);
}

}  // namespace

void set_lengths(const Position& place, int64_t inputs, int64_t tokens, const at::Tensor& lengths) {
  if (lengths.is_cuda()) return set_lengths_cuda(place, inputs, tokens, lengths);
  const int64_t first = place.token();
  lengths[0].fill_(std::min(inputs, tokens - first));
  lengths[1].fill_(std::min(first + inputs, tokens));
}

#ifndef TARFLOW_USE_CUDA
void set_lengths_cuda(const Position&, int64_t, int64_t, const at::Tensor&) { no_cuda_kernels(); }
#endif

std::vector<at::Tensor> attention_parts(const Attention& work) {
  const int64_t batch = work.query.size(0);
  if (work.query_scale == 1 || work.images >= batch) {
    return {attend({work.query, work.keys, work.values, kScale, work.lengths})};
  }
  const auto part = [&](int64_t first, int64_t last, double scale) {
    return attend({work.query.slice(0, first, last), work.keys.slice(0, first, last),
                   work.values.slice(0, first, last), scale,
                   work.lengths.defined() ? work.lengths.slice(1, first, last) : at::Tensor()});
  };
  return {part(0, work.images, kScale), part(work.images, batch, kScale * work.query_scale)};
}

at::Tensor attention(const Attention& work) {
  const std::vector<at::Tensor> parts = attention_parts(work);
  return parts.size() == 1 ? parts.front() : at::cat(parts);
}

}  // namespace tarflow::kernels
