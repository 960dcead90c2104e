#include "framework/kernels/vector_math.h"

namespace tarflow::kernels {

namespace isa_base {
extern const VectorMath kTable;
}
#ifdef __x86_64__
namespace isa_v3 {
extern const VectorMath kTable;
}
namespace isa_v4 {
extern const VectorMath kTable;
}
#endif

int vector_math_variants(NamedVectorMath* out, int capacity) {
  int count = 0;
  const auto add = [&](const char* isa, const VectorMath& table) {
    if (count < capacity) out[count++] = {isa, &table};
  };
  add("base", isa_base::kTable);
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    add("x86-64-v3", isa_v3::kTable);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("fma")) {
    add("x86-64-v4", isa_v4::kTable);
  }
#endif
  return count;
}

const VectorMath& vector_math() {
  static const VectorMath* const best = [] {
    NamedVectorMath variants[4];
    return variants[vector_math_variants(variants, 4) - 1].table;
  }();
  return *best;
}

}  // namespace tarflow::kernels
