#include "framework/kernels/gemm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tarflow::kernels {
namespace {

TEST(GemmTest, RowMajorProductsWithStrides) {
  at::manual_seed(1);
  const int64_t m = 5, n = 7, k = 11, lda = 13, ldc = 9;
  const at::Tensor a = at::randn({m, lda}), b = at::randn({n, k});
  at::Tensor c = at::randn({m, ldc});
  const at::Tensor before = c.clone();
  gemm_nt(m, n, k, a.const_data_ptr<float>(), lda, b.const_data_ptr<float>(), k, 1,
          c.mutable_data_ptr<float>(), ldc);
  const at::Tensor product = at::mm(a.slice(1, 0, k), b.t());
  EXPECT_TRUE(at::allclose(c.slice(1, 0, n), before.slice(1, 0, n) + product, 1e-5, 1e-5));
  EXPECT_TRUE(at::equal(c.slice(1, n), before.slice(1, n)));

  at::Tensor d = at::full({m, n}, NAN);  // beta 0 overwrites whatever was there
  const at::Tensor bt = b.t().contiguous();
  gemm_nn(m, n, k, a.const_data_ptr<float>(), lda, bt.const_data_ptr<float>(), n, 0,
          d.mutable_data_ptr<float>(), n);
  EXPECT_TRUE(at::allclose(d, product, 1e-5, 1e-5));
}

}  // namespace
}  // namespace tarflow::kernels
