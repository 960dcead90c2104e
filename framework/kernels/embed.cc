#include "framework/kernels/embed.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tarflow::kernels {

void take_tokens_cpu(const at::Tensor& x, const Position& place, const at::Tensor& tokens) {
  const int64_t first = place.token(), width = x.size(2),
                count = std::min(tokens.size(1), x.size(1) - first);
  tokens.slice(1, 0, count).slice(2, 0, width).copy_(x.slice(1, first, first + count));
  tokens.slice(1, count).zero_();
  tokens.slice(2, width).zero_();
}

void embed_cpu(const Embed& work) {
  const int64_t images = work.projected.size(0), n = work.projected.size(1),
                first = work.place.token();
  const at::Tensor indices =
      at::arange(first, first + n, at::kLong).clamp_max_(work.positions.size(0) - 1);
  const at::Tensor placed =
      work.projected.to(at::kFloat) + work.positions.index_select(0, indices);
  for (int64_t b = 0; b < work.h.size(0); b += images) {
    const at::Tensor classes = work.classes.slice(0, b, b + images).unsqueeze(1);
    work.h.slice(0, b, b + images).copy_(placed + classes);
  }
}

#ifndef TARFLOW_USE_CUDA
void take_tokens_cuda(const at::Tensor&, const Position&, const at::Tensor&) { no_cuda_kernels(); }
void embed_cuda(const Embed&) { no_cuda_kernels(); }
#endif

void take_tokens(const at::Tensor& x, const Position& place, const at::Tensor& tokens) {
  return x.is_cpu() ? take_tokens_cpu(x, place, tokens) : take_tokens_cuda(x, place, tokens);
}

void embed(const Embed& work) { return work.h.is_cpu() ? embed_cpu(work) : embed_cuda(work); }

}  // namespace tarflow::kernels
