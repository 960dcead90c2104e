// Named ranges of work. LibTorch's profiler shows them as events. In CUDA builds the timeline of
// Nsight Systems shows them too (NVTX). Without a profiler a range costs nanoseconds.
#pragma once

#include <ATen/record_function.h>

#include <string>

#ifdef TARFLOW_USE_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace tarflow {

class Range {
 public:
  // The caller must keep `name` until the range ends.
  explicit Range(const char* name) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(name);
#ifdef TARFLOW_USE_CUDA
    nvtxRangePushA(name);
#endif
  }
  explicit Range(const std::string& name) : Range(name.c_str()) {}
#ifdef TARFLOW_USE_CUDA
  ~Range() { nvtxRangePop(); }
#endif
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  at::RecordFunction record_;
};

}  // namespace tarflow
