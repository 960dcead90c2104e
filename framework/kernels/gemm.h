// Single-precision matrix products of row-major matrices, by the BLAS that LibTorch includes.
#pragma once

#include <cstdint>

namespace tarflow::kernels {

// c (m, n) = a (m, k) b^T + beta c, where b is (n, k). lda, ldb, ldc: elements from one row to the
// next. Inside a parallel region the product runs on the calling thread.
void gemm_nt(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float beta, float* c, int64_t ldc);
// c (m, n) = a (m, k) b (k, n) + beta c
void gemm_nn(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float beta, float* c, int64_t ldc);

}  // namespace tarflow::kernels
