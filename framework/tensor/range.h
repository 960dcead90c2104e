// Named stretches of work: ranges on the timeline of Nsight Systems in CUDA builds (NVTX), and in
// the events of LibTorch's profiler. Without a listener a range costs nanoseconds.
#pragma once

#include <ATen/record_function.h>

#include <string>

#ifdef TARFLOW_USE_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace tarflow {

class Range {
 public:
  // `name` is kept by the caller while the range lasts.
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
