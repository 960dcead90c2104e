#include "framework/model/patchify.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tarflow {
namespace {

TEST(PatchifyTest, TokenAndFeatureOrder) {
  const int64_t h = 6, p = 2;
  const at::Tensor images = at::arange(2 * 3 * h * h, at::kFloat).view({2, 3, h, h});
  const at::Tensor tokens = patchify(images, p);
  ASSERT_EQ(tokens.sizes(), at::IntArrayRef({2, 9, 12}));
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t t = 0; t < 9; ++t) {
      for (int64_t d = 0; d < 12; ++d) {
        const int64_t channel = d / (p * p), py = d / p % p, px = d % p;
        const int64_t row = t / 3 * p + py, column = t % 3 * p + px;
        EXPECT_EQ(tokens[n][t][d].item<float>(), images[n][channel][row][column].item<float>());
      }
    }
  }
}

TEST(PatchifyTest, UnpatchifyInverts) {
  const at::Tensor images = at::randn({3, 3, 12, 12});
  for (const int patch : {1, 2, 3, 4, 6, 12})
    EXPECT_TRUE(at::equal(unpatchify(patchify(images, patch), patch), images));
}

}  // namespace
}  // namespace tarflow
