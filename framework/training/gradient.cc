#include "framework/training/gradient.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <utility>

#include "framework/kernels/linear.h"
#include "framework/model/patchify.h"
#include "framework/tensor/device.h"
#include "framework/tensor/memory.h"
#include "framework/tensor/range.h"

namespace tarflow::training {
namespace {

constexpr int64_t kSquare = 0, kLogdet = 1, kBlocks = 2;  // places in PassResult::sums

// Sum over images of the mean of z^2.
at::Tensor sum_of_squares(const at::Tensor& z) {
  return z.square().mean(at::IntArrayRef{1, 2}).sum(at::kDouble);
}

}  // namespace

BlockPass block_pass(const Model& shell, const BlockWeights& block, const at::Tensor& x,
                     const Labels& labels, LayerKernels kernels) {
  const auto outputs = kernels == LayerKernels::kFused ? fused_outputs : computed_outputs;
  const Shifted shifted = shift_outputs(outputs(shell, block, x, labels));
  // In bfloat16 the scale is rounded once more, and the mean of `a` is one of bfloat16, as in the
  // published code.
  const at::Tensor scale = at::exp(-shifted.a.to(at::kFloat)).to(shifted.a.scalar_type());
  return {(x - shifted.g) * scale, -shifted.a.mean(at::IntArrayRef{1, 2})};
}

Pass::Pass(const ParameterLayout& layout, ComputeType compute, const at::Tensor& row,
           const at::Tensor& rounded, const at::Tensor& gradient, LayerKernels kernels)
    : layout_(layout),
      shell_{layout.shape(), row.device(), compute, {}, {}},
      row_(row),
      rounded_(rounded),
      gradient_(gradient),
      kernels_(kernels) {}

Pass::Leaves Pass::leaves(int block, bool differentiable) const {
  const c10::AutoGradMode mode(differentiable);
  Leaves leaves{layout_.views(row_, block), {}};
  const std::vector<at::Tensor> rounded = layout_.views(rounded_, block);
  const std::vector<Parameter>& parameters = layout_.of_block(block);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].kind == WeightKind::kLinear) leaves.tensors[i] = rounded[i];
    leaves.tensors[i] = leaves.tensors[i].detach().requires_grad_(differentiable);
  }
  leaves.block = block_of(layout_, block, leaves.tensors);
  return leaves;
}

void Pass::keep(int block, const std::vector<at::Tensor>& gradients, bool add) {
  const c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> kept = layout_.views(gradient_, block);
  if (!add) return kernels::copy_all(kept, gradients);
  std::vector<at::Tensor> exact;
  for (const at::Tensor& gradient : gradients) exact.push_back(gradient.to(at::kFloat));
  kernels::add_all(kept, exact);
}

Pass::Recorded Pass::recorded(int block, const at::Tensor& input, const Labels& labels) const {
  const c10::AutoGradMode with_grad(true);
  Recorded result{leaves(block, true), input.detach().requires_grad_(block > 0), {}};
  result.pass = block_pass(shell_, result.own.block, result.input, labels, kernels_);
  return result;
}

at::Tensor Pass::forward(const PassInput& input, const MemoryMeter* meter, PassResult& result) {
  const c10::NoGradGuard no_grad;
  const int last = layout_.shape().blocks - 1;
  at::Tensor x = patchify(input.images, layout_.shape().patch_size);
  for (int b = 0; b <= last; ++b) {
    const Range range("forward");
    const BlockWeights block = leaves(b, false).block;
    at::Tensor own_input = to_block_order(block, x).contiguous();
    const int64_t before = meter ? meter->held() : 0;
    Recorded& way = way_.emplace_back();
    BlockPass pass;
    if (b + input.kept >= last) {
      way = recorded(b, own_input, input.labels);
      pass = {way.pass.z.detach(), way.pass.logdet.detach()};
    } else {
      pass = block_pass(shell_, block, own_input, input.labels, kernels_);
      way.input = std::move(own_input);
    }
    if (meter && b == last) result.block_bytes = meter->held() - before;
    result.sums[kBlocks + b] = sum_of_squares(pass.z);
    result.sums[kLogdet] += pass.logdet.to(at::kFloat).sum(at::kDouble);
    x = to_block_order(block, pass.z);
  }
  result.sums[kSquare] = 0.5 * result.sums[kBlocks + last];
  return x;
}

PassResult Pass::run(const PassInput& input, bool add,
                     const std::function<void(int block)>& finished) {
  const RepeatableKernels repeatable;
  std::optional<MemoryMeter> meter;
  if (input.measure) meter.emplace(row_.device());
  const int blocks = layout_.shape().blocks;
  PassResult result;
  result.sums = at::zeros({kBlocks + blocks}, row_.options().dtype(at::kDouble));
  way_.clear();
  result.z = forward(input, meter ? &*meter : nullptr, result);
  const double elements = static_cast<double>(result.z.size(1) * result.z.size(2));
  // In the z of the block, in image token order.
  at::Tensor gradient = result.z * (input.weight / elements);
  for (int b = blocks - 1; b >= 0; --b) {
    const Range range("backward");
    Recorded block = std::move(way_.back());
    way_.pop_back();
    if (!block.pass.z.defined()) block = recorded(b, block.input, input.labels);
    std::vector<at::Tensor> wanted = block.own.tensors;
    if (b > 0) wanted.push_back(block.input);
    std::vector<at::Tensor> found =
        torch::autograd::grad({block.pass.z, block.pass.logdet}, wanted,
                              {to_block_order(block.own.block, gradient).contiguous(),
                               at::full_like(block.pass.logdet, -input.weight)});
    if (b > 0) {
      gradient = to_block_order(block.own.block, found.back());
      found.pop_back();
    }
    keep(b, found, add);
    finished(b);
  }
  if (meter) result.peak_bytes = meter->peak();
  return result;
}

}  // namespace tarflow::training
