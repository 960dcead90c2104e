// Code that the compilers of CPUs and GPUs both compile.
#pragma once

#ifdef __CUDACC__
#define TARFLOW_HD __host__ __device__ inline
#else
#define TARFLOW_HD inline
#endif
