#include "framework/kernels/neighbours.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tarflow::kernels {

at::Tensor neighbours_of(const at::Tensor& x, int64_t first, int64_t last, int64_t row) {
  const int64_t n = last - first, width = x.size(2);
  at::Tensor all = at::zeros({x.size(0), n, 4 * width}, x.options());
  int64_t column = 0;
  for (const int64_t back : {int64_t{1}, row, row - 1, row + 1}) {
    // Token t - back of the tokens t >= back.
    const int64_t from = std::min(std::max(first, back), last);
    if (from < last) {
      all.slice(1, from - first)
          .slice(2, column, column + width)
          .copy_(x.slice(1, from - back, last - back));
    }
    column += width;
  }
  return all;
}

}  // namespace tarflow::kernels
