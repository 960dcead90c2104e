// What an extractor's convolutions and products may do on a GPU while it runs.
#pragma once

#include <string>

namespace tarflow::metrics {

// Arithmetic of an extractor's convolutions. kTf32 rounds their inputs to 10 bits of mantissa on
// GPUs that offer it and is float32 elsewhere; kBFloat16 rounds weights and activations to 7 bits.
// Either moves features by some 1e-3 and 1e-2, so it is part of what statistics are compared by.
enum class Precision { kFloat32, kTf32, kBFloat16 };
std::string to_string(Precision precision);         // "float32", "tf32", "bfloat16"
Precision precision_from(const std::string& text);  // throws Error

// LibTorch's switches for TF32 as the precision wants them, within its scope; put back afterwards.
// cuDNN's search for the fastest algorithm is off: what it chooses may differ from run to run, and
// with it the last bits of features.
class GpuArithmetic {
 public:
  explicit GpuArithmetic(Precision precision);
  ~GpuArithmetic();
  GpuArithmetic(const GpuArithmetic&) = delete;
  GpuArithmetic& operator=(const GpuArithmetic&) = delete;

 private:
  bool search_, convolutions_, products_;  // as they were
};

}  // namespace tarflow::metrics
