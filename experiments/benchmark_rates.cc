#include "experiments/benchmark_rates.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "framework/kernels/attention.h"
#include "framework/tensor/timer.h"

namespace tarflow::experiments {
namespace {

constexpr double kEnough = 0.2;  // seconds of calls that make a rate
constexpr int64_t kTokensGpu = 64 * 256, kTokensCpu = 512;
constexpr int64_t kCopyGpu = int64_t{1} << 30, kCopyCpu = int64_t{1} << 26;  // bytes, beyond caches
constexpr int64_t kImagesCpu = 2;  // sequences in the attentions

// Random, since zeros are faster than data.
at::Tensor random_tensor(const Model& model, at::IntArrayRef sizes) {
  return at::randn(sizes, at::TensorOptions(model.device)).to(model.dtype());
}

double gemm_rate(const Model& model) {
  const int64_t tokens = model.device.is_cuda() ? kTokensGpu : kTokensCpu, c = model.shape.channels;
  const at::Tensor input = random_tensor(model, {tokens, c}),
                   weight = random_tensor(model, {4 * c, c});
  at::Tensor output = at::empty({tokens, 4 * c}, input.options());
  const double seconds =
      seconds_a_call(model.device, [&] { at::mm_out(output, input, weight.t()); });
  return 2.0 * static_cast<double>(tokens * c * 4 * c) / seconds;
}

// `queries` at the end of `keys` tokens, causal; counted are the keys that a query may see.
double attention_rate(const Model& model, int64_t images, int64_t queries, int64_t keys) {
  const int64_t heads = model.shape.heads();
  // As they lie in memory where sampling attends: a head's tokens one after another.
  const auto tokens = [&](int64_t count) {
    return random_tensor(model, {images, heads, count, kHeadWidth}).transpose(1, 2);
  };
  const kernels::Attention work{tokens(queries), tokens(keys), tokens(keys)};
  const double seconds = seconds_a_call(model.device, [&] { kernels::attention(work); });
  const double seen = static_cast<double>(keys - queries) + (static_cast<double>(queries) + 1) / 2;
  return 4.0 * seen * static_cast<double>(queries * images * heads * kHeadWidth) / seconds;
}

double copy_rate(const at::Device& device) {
  const int64_t bytes = device.is_cuda() ? kCopyGpu : kCopyCpu;
  const at::Tensor from = at::randint(256, {bytes}, at::TensorOptions(device).dtype(at::kByte));
  at::Tensor to = at::empty_like(from);
  return 2.0 * static_cast<double>(bytes) / seconds_a_call(device, [&] { to.copy_(from); });
}

}  // namespace

double seconds_a_call(const at::Device& device, const std::function<void()>& call) {
  call();
  call();
  for (int64_t calls = 1;; calls *= 2) {
    DeviceTimer timer(device);
    timer.mark();
    for (int64_t i = 0; i < calls; ++i) call();
    timer.mark();
    const double seconds = timer.seconds().front();
    if (seconds >= kEnough) return seconds / static_cast<double>(calls);
  }
}

Rates measure_rates(const Model& model, int64_t images) {
  const c10::NoGradGuard no_grad;
  const int64_t tokens = model.shape.tokens(), segment = std::max<int64_t>(1, tokens / 8),
                sequences = model.device.is_cuda() ? images : std::min(images, kImagesCpu);
  Rates rates;
  rates.gemm = gemm_rate(model);
  rates.attention = attention_rate(model, sequences, tokens, tokens);
  rates.segment_attention = attention_rate(model, sequences, segment, tokens / 2 + segment);
  rates.copy = copy_rate(model.device);
  return rates;
}

}  // namespace tarflow::experiments
