#include "framework/kernels/gemm.h"

// The Fortran interface, which every BLAS has. It is column-major: a row-major matrix is the
// transpose of a column-major one, so the operands are swapped.
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* lda,
                       const float* b, const int* ldb, const float* beta, float* c, const int* ldc);

namespace tarflow::kernels {
namespace {

void gemm(const char* trans_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
          const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), inner = static_cast<int>(k);
  const int stride_a = static_cast<int>(lda), stride_b = static_cast<int>(ldb),
            stride_c = static_cast<int>(ldc);
  const float one = 1;
  sgemm_(trans_b, "N", &columns, &rows, &inner, &one, b, &stride_b, a, &stride_a, &beta, c,
         &stride_c);
}

}  // namespace

void gemm_nt(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float beta, float* c, int64_t ldc) {
  gemm("T", m, n, k, a, lda, b, ldb, beta, c, ldc);
}

void gemm_nn(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b,
             int64_t ldb, float beta, float* c, int64_t ldc) {
  gemm("N", m, n, k, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace tarflow::kernels
