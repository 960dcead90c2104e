#include "framework/kernels/position.h"

#include "framework/core/error.h"

namespace tarflow::kernels {

void no_cuda_kernels() {
  throw Error("this build has no CUDA kernels", "build with TARFLOW_CUDA=ON");
}

}  // namespace tarflow::kernels
