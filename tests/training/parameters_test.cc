#include "framework/training/parameters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"
#include "framework/model/forward.h"
#include "framework/model/patchify.h"
#include "tests/training/small_training.h"

namespace tarflow::training {
namespace {

TEST(ParametersTest, TheRowHoldsEveryTensorOfTheCheckpointThatIsTrained) {
  for (const ModelShape& shape :
       {kTinyShape, unconditional(kTinyShape), volume_preserving(kTinyShape)}) {
    const ParameterLayout layout(shape);
    std::set<std::string> names;
    for (int b = 0; b < shape.blocks; ++b) {
      for (const Parameter& parameter : layout.of_block(b)) names.insert(parameter.name);
    }
    std::set<std::string> expected;
    for (const auto& tensor : checkpoint::expected_tensors(shape)) {
      if (tensor.name != "var" && !tensor.name.ends_with("attn_mask")) expected.insert(tensor.name);
    }
    EXPECT_EQ(names, expected);
  }
}

TEST(ParametersTest, ParametersDoNotOverlapAndBlocksAreParts) {
  const ParameterLayout layout(kTinyShape);
  at::Tensor row = at::zeros({layout.elements()});
  int64_t elements = 0;
  for (int b = 0; b < kTinyShape.blocks; ++b) {
    for (const at::Tensor& tensor : layout.views(row, b)) {
      tensor.add_(1);
      elements += tensor.numel();
    }
    layout.part(row, b).add_(1);
  }
  EXPECT_EQ(elements, kTinyShape.parameters());
  EXPECT_EQ(row.max().item<float>(), 2);
  EXPECT_EQ(row.min().item<float>(), 1);
  EXPECT_EQ(row.eq(2).sum().item<int64_t>(), elements);
}

TEST(ParametersTest, InitialWeightsAreThePublishedOnes) {
  const ParameterLayout layout(kTinyShape);
  const at::Tensor row = initial_parameters(layout, 3);
  for (int b = 0; b < kTinyShape.blocks; ++b) {
    const std::vector<at::Tensor> tensors = layout.views(row, b);
    int64_t inputs = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::string& name = layout.of_block(b)[i].name;
      const at::Tensor& tensor = tensors[i];
      if (tensor.dim() == 2) inputs = tensor.size(1);
      const double rms = std::sqrt(tensor.square().mean().item<double>());
      const double largest = tensor.abs().max().item<double>();
      if (name.ends_with("proj_out.weight") || name.ends_with("norm.bias")) {
        EXPECT_EQ(largest, 0) << name;
      } else if (name.ends_with("norm.weight")) {
        EXPECT_TRUE(at::equal(tensor, at::ones_like(tensor))) << name;
      } else if (name.ends_with("_embed")) {
        EXPECT_NEAR(rms, 0.01, 0.0015) << name;
        EXPECT_LT(largest, 0.06) << name;
      } else {
        const double bound = 1 / std::sqrt(static_cast<double>(inputs));
        EXPECT_LE(largest, bound * 1.000001) << name;
        EXPECT_GT(largest, bound * 0.8) << name;
        EXPECT_NEAR(rms, bound / std::sqrt(3.0), bound * 0.15) << name;
      }
    }
  }
}

TEST(ParametersTest, InitialWeightsFollowFromTheSeed) {
  const ParameterLayout layout(kTinyShape);
  EXPECT_TRUE(at::equal(initial_parameters(layout, 3), initial_parameters(layout, 3)));
  EXPECT_FALSE(at::equal(initial_parameters(layout, 3), initial_parameters(layout, 4)));
}

TEST(ParametersTest, TheModelOfTheRowHasWeightsOfItsOwn) {
  const ParameterLayout layout(kTinyShape);
  at::Tensor row = some_row(layout, 3);
  const at::Tensor var = at::ones({kTinyShape.tokens(), kTinyShape.token_width()});
  const Model model = model_of(layout, row, var, ComputeType::kFloat32);
  const at::Tensor images = some_images(kTinyShape, 2);
  const at::Tensor before = forward(model, images, {1, -1}).z;
  EXPECT_FALSE(at::equal(before, patchify(images, kTinyShape.patch_size)));
  row.zero_();
  EXPECT_TRUE(at::equal(forward(model, images, {1, -1}).z, before));
}

TEST(ParametersTest, ShapesThatNoModelHasAreRefused) {
  ModelShape shape = kTinyShape;
  shape.channels = 65;
  EXPECT_THROW(ParameterLayout{shape}, Error);
  shape = kTinyShape;
  shape.patch_size = 3;
  EXPECT_THROW(ParameterLayout{shape}, Error);
}

}  // namespace
}  // namespace tarflow::training
