// The weights of a model that is trained: float32, in one row of memory, so that the optimizer, the
// clipping, the mean over steps and the sum over ranks each take one tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/shape.h"
#include "framework/model/weights.h"

namespace tarflow::training {

// A tensor of the state dict that is trained; `var` and `attn_mask` are not.
struct Parameter {
  std::string name;            // as in the checkpoint
  std::vector<int64_t> shape;  // as in the checkpoint
  WeightKind kind = WeightKind::kLinear;
  int64_t offset = 0, elements = 0;  // in the row
};

// Where each parameter is in the row. Between parameters there are zeros, which stay zero.
class ParameterLayout {
 public:
  // Throws Error for an impossible shape.
  explicit ParameterLayout(const ModelShape& shape);

  const ModelShape& shape() const { return shape_; }
  int64_t elements() const { return elements_; }  // of the row
  // Those of a block, in the order of for_each_tensor without what the model does not have.
  const std::vector<Parameter>& of_block(int block) const {
    return blocks_[static_cast<size_t>(block)];
  }
  // The block's part of a row.
  at::Tensor part(const at::Tensor& row, int block) const;
  // Views of the block's parameters in a row of any type, in the order of of_block().
  std::vector<at::Tensor> views(const at::Tensor& row, int block) const;

 private:
  ModelShape shape_;
  std::vector<std::vector<Parameter>> blocks_;
  std::vector<std::pair<int64_t, int64_t>> ranges_;  // of each block in the row
  int64_t elements_ = 0;
};

// The initial weights, a row on the CPU, as published: proj_out.weight 0; embeddings 0.01 N(0, 1);
// norms 1 and 0; linear layers uniform in +-1/sqrt(inputs), weights and biases. A function of the
// seed alone.
at::Tensor initial_parameters(const ParameterLayout& layout, uint64_t seed);

// A block made of tensors in the order of of_block(). Differentiable in them: pos_embed is put into
// the block's order, and the mean over classes is taken here.
BlockWeights block_of(const ParameterLayout& layout, int block,
                      const std::vector<at::Tensor>& tensors);

// The model as it is used elsewhere, with weights of its own. row: float32. var: (T, D).
Model model_of(const ParameterLayout& layout, const at::Tensor& row, const at::Tensor& var,
               ComputeType compute);

}  // namespace tarflow::training
