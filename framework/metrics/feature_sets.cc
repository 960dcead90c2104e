#include "framework/metrics/feature_sets.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "framework/core/error.h"

namespace tarflow::metrics {

void require_feature_sets(const char* what, const at::Tensor& real, const at::Tensor& fake,
                          int64_t fewest) {
  for (const auto& [name, set] : {std::pair("real", &real), std::pair("generated", &fake)}) {
    if (!set->defined() || set->dim() != 2 || !set->is_floating_point()) {
      throw Error(fmt::format("{} needs {} features as floating point numbers, samples x features",
                              what, name));
    }
    if (set->size(0) < fewest) {
      throw Error(fmt::format("{} needs at least {} {} images; there are {}", what, fewest, name,
                              set->size(0)));
    }
    if (!at::isfinite(*set).all().item<bool>()) {
      throw Error(fmt::format("{} features are not finite", name),
                  "look for NaN in the images or the extractor");
    }
  }
  if (real.size(1) != fake.size(1)) {
    throw Error(
        fmt::format("no {} between {} features and {} features", what, real.size(1), fake.size(1)),
        "make both with the same extractor");
  }
}

}  // namespace tarflow::metrics
