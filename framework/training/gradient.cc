#include "framework/training/gradient.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "framework/kernels/linear.h"
#include "framework/model/patchify.h"
#include "framework/tensor/device.h"
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
                     const Labels& labels) {
  const Shifted shifted = shift_outputs(computed_outputs(shell, block, x, labels));
  // In bfloat16 the scale is rounded once more, and the mean of `a` is one of bfloat16, as in the
  // published code.
  const at::Tensor scale = at::exp(-shifted.a.to(at::kFloat)).to(shifted.a.scalar_type());
  return {(x - shifted.g) * scale, -shifted.a.mean(at::IntArrayRef{1, 2})};
}

Pass::Pass(const ParameterLayout& layout, ComputeType compute, const at::Tensor& row,
           const at::Tensor& rounded, const at::Tensor& gradient)
    : layout_(layout),
      shell_{layout.shape(), row.device(), compute, {}, {}},
      row_(row),
      rounded_(rounded),
      gradient_(gradient) {}

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

PassResult Pass::run(const PassInput& input, bool add,
                     const std::function<void(int block)>& finished) {
  const RepeatableKernels repeatable;
  const int last = layout_.shape().blocks - 1;
  std::vector<at::Tensor> inputs;  // of each block, in its own order
  PassResult result;
  result.sums = at::zeros({kBlocks + last + 1}, row_.options().dtype(at::kDouble));
  at::Tensor x = patchify(input.images, layout_.shape().patch_size);
  const double elements = static_cast<double>(x.size(1) * x.size(2));
  const auto note = [&](int b, const at::Tensor& z, const at::Tensor& logdet) {
    result.sums[kBlocks + b] = sum_of_squares(z);
    result.sums[kLogdet] += logdet.to(at::kFloat).sum(at::kDouble);
  };
  {
    const c10::NoGradGuard no_grad;
    for (int b = 0; b <= last; ++b) {
      const BlockWeights block = leaves(b, false).block;
      inputs.push_back(to_block_order(block, x).contiguous());
      if (b == last) break;  // runs once, below
      const Range range("forward");
      const BlockPass pass = block_pass(shell_, block, inputs.back(), input.labels);
      note(b, pass.z, pass.logdet);
      x = to_block_order(block, pass.z);
    }
  }
  at::Tensor gradient;  // in the z of the block, in image token order
  for (int b = last; b >= 0; --b) {
    const Range range("backward");
    const c10::AutoGradMode with_grad(true);
    Leaves own = leaves(b, true);
    const at::Tensor block_input =
        std::exchange(inputs[static_cast<size_t>(b)], {}).detach().requires_grad_(b > 0);
    const BlockPass pass = block_pass(shell_, own.block, block_input, input.labels);
    if (b == last) {
      const c10::NoGradGuard no_grad;
      note(b, pass.z, pass.logdet);
      result.sums[kSquare] = 0.5 * result.sums[kBlocks + b];
      result.z = to_block_order(own.block, pass.z.detach());
      gradient = result.z * (input.weight / elements);
    }
    std::vector<at::Tensor> wanted = own.tensors;
    if (b > 0) wanted.push_back(block_input);
    std::vector<at::Tensor> found =
        torch::autograd::grad({pass.z, pass.logdet}, wanted,
                              {to_block_order(own.block, gradient).contiguous(),
                               at::full_like(pass.logdet, -input.weight)});
    if (b > 0) {
      gradient = to_block_order(own.block, found.back());
      found.pop_back();
    }
    keep(b, found, add);
    finished(b);
  }
  return result;
}

}  // namespace tarflow::training
