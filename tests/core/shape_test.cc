#include "framework/core/shape.h"

#include <gtest/gtest.h>

#include "framework/core/error.h"

namespace tarflow {
namespace {

const ModelShape kDemo{32, 4, 128, 8, 2, 10, 0.05};
const ModelShape kAfhq{256, 8, 768, 8, 8, 3, 0.07};

TEST(Shape, TokensWidthAndHeads) {
  EXPECT_EQ(kDemo.tokens(), 64);
  EXPECT_EQ(kDemo.token_width(), 48);
  EXPECT_EQ(kDemo.heads(), 2);
  EXPECT_EQ(kAfhq.tokens(), 1024);
  EXPECT_EQ(kAfhq.token_width(), 192);
}

// Counted with PyTorch on published checkpoints of these shapes, without `var` and the masks.
TEST(Shape, ParametersAsPyTorchCountsThem) {
  EXPECT_EQ(kDemo.parameters(), 3397376);
  EXPECT_EQ((ModelShape{32, 2, 256, 8, 4, 10, 0.05}).parameters(), 25893056);
  EXPECT_EQ((ModelShape{16, 2, 64, 4, 2, 0, 0.1}).parameters(), 425824);
}

TEST(Shape, FlopsOfOneToken) {
  // One layer of 64 channels over 10 keys: qkv 64x192, proj 64x64, mlp 64x256 and 256x64; QK and PV
  // 64 a key each.
  const ModelShape shape{4, 2, 64, 1, 1, 0, 0.1};
  const double linear = 2.0 * (64 * 192 + 64 * 64 + 64 * 256 + 256 * 64);
  const double attention = 2.0 * (64 * 10 + 64 * 10);
  const double ends = 2.0 * (12 * 64 + 64 * 24);
  EXPECT_DOUBLE_EQ(shape.block_flops_per_token(10), linear + attention + ends);
  const ModelShape deep{4, 2, 64, 1, 3, 0, 0.1};
  EXPECT_DOUBLE_EQ(deep.block_flops_per_token(10), 3 * (linear + attention) + ends);
}

TEST(Shape, JsonRoundTrips) {
  EXPECT_EQ(shape_from_json(to_json(kAfhq)), kAfhq);
  EXPECT_THROW(shape_from_json(Json{{"image_size", 3}}), Error);
  EXPECT_THROW(shape_from_json(Json()), Error);
}

TEST(Shape, PrintsShort) {
  EXPECT_EQ(kDemo.str(), "32px P4 C128 K8 L2, 10 classes");
  EXPECT_EQ((ModelShape{64, 2, 768, 8, 8, 0, 0.05}).str(), "64px P2 C768 K8 L8, unconditional");
}

TEST(Shape, CostOfAnEvaluation) {
  // All tokens at once are as many operations as a token at a time, a mean of (T + 1) / 2 keys.
  const double tokens = kDemo.tokens();
  const EvaluationCost pass = kDemo.evaluation_cost(0, kDemo.tokens(), 1, 2);
  EXPECT_DOUBLE_EQ(pass.flops(), tokens * kDemo.block_flops_per_token((tokens + 1) / 2));
  // 2 layers of 12 C^2 and the ends of 3 C D, two bytes each.
  EXPECT_DOUBLE_EQ(pass.weight_bytes, 2 * (2 * 12 * 128 * 128 + 3 * 128 * 48));
  const EvaluationCost segment = kDemo.evaluation_cost(16, 24, 6, 4);
  // 8 tokens of 6 sequences are written, 24 of them read: keys and values of 2 layers.
  EXPECT_DOUBLE_EQ(segment.cache_bytes, 4.0 * 2 * 2 * 128 * 6 * (24 + 8));
  EXPECT_DOUBLE_EQ(segment.attention_flops, 4.0 * 2 * 128 * 6 * 8 * (16 + 4.5));
}

}  // namespace
}  // namespace tarflow
