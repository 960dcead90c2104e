#include "framework/metrics/gpu_arithmetic.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <vector>

#include "framework/core/error.h"

namespace tarflow::metrics {
namespace {

const std::vector<std::string> kPrecisionNames = {"float32", "tf32", "bfloat16"};  // as Precision

void set(bool search, bool convolutions, bool products) {
  at::Context& context = at::globalContext();
  context.setBenchmarkCuDNN(search);
  context.setAllowTF32CuDNN(convolutions);
  context.setAllowTF32CuBLAS(products);
}

}  // namespace

std::string to_string(Precision precision) {
  return kPrecisionNames[static_cast<size_t>(precision)];
}

Precision precision_from(const std::string& text) {
  for (size_t i = 0; i < kPrecisionNames.size(); ++i) {
    if (kPrecisionNames[i] == text) return static_cast<Precision>(i);
  }
  throw Error(fmt::format("`{}` is not a precision of an extractor", text),
              did_you_mean(text, kPrecisionNames));
}

GpuArithmetic::GpuArithmetic(Precision precision)
    : search_(at::globalContext().benchmarkCuDNN()),
      convolutions_(at::globalContext().allowTF32CuDNN()),
      products_(at::globalContext().allowTF32CuBLAS()) {
  const bool tf32 = precision == Precision::kTf32;
  set(/*search=*/false, tf32, tf32);
}

GpuArithmetic::~GpuArithmetic() { set(search_, convolutions_, products_); }

}  // namespace tarflow::metrics
