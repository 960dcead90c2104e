#include "framework/kernels/decode_attention.h"

#include <ATen/ATen.h>

namespace tarflow::kernels {

void decode_attention_cpu(const DecodeAttention& work) {
  const int64_t token = work.place.token();
  const at::Tensor qkv =
      work.qkv.to(at::kFloat).transpose(0, 1).unsqueeze(3);  // 3, B, heads, 1, 64
  const auto with_new = [&](const at::Tensor& cache, const at::Tensor& fresh) {
    return at::cat({cache.slice(2, 0, token).to(at::kFloat), fresh}, 2);
  };
  const at::Tensor keys = with_new(work.keys, qkv[1]), values = with_new(work.values, qkv[2]);
  at::Tensor query = qkv[0] * 0.125;
  query.slice(0, work.images).mul_(work.query_scale);
  const at::Tensor weights = at::softmax(at::matmul(query, keys.transpose(2, 3)), -1);
  work.out.copy_(at::matmul(weights, values).squeeze(2));
  for (int64_t row = 0; row < work.qkv.size(0); ++row) {
    if (raised(work.stopped, row % work.images)) continue;
    work.keys[row].select(1, token).copy_(work.qkv[row][1]);
    work.values[row].select(1, token).copy_(work.qkv[row][2]);
  }
}

#ifndef TARFLOW_USE_CUDA
void decode_attention_cuda(const DecodeAttention&) { no_cuda_kernels(); }
#endif

void decode_attention(const DecodeAttention& work) {
  return work.qkv.is_cpu() ? decode_attention_cpu(work) : decode_attention_cuda(work);
}

}  // namespace tarflow::kernels
