// Single-precision matrix products of the BLAS that LibTorch carries, for row-major matrices.
#pragma once

#include <cstdint>

namespace tarflow::kernels {

// c (m, n) = a (m, k) b^T + beta c, b is (n, k); ld*: elements from row to row. Inside a parallel
// region the product runs on the calling thread.
void gemm_nt(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float beta, float* c, int64_t ldc);
// c (m, n) = a (m, k) b (k, n) + beta c
void gemm_nn(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float beta, float* c, int64_t ldc);

}  // namespace tarflow::kernels
