#include "experiments/worker/nonfinite.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "framework/core/error.h"

namespace tarflow::experiments {
namespace {

constexpr size_t kListed = 10;  // images that a message names
constexpr const char* kCure =
    "a smaller cfg, more iterations, a clamp or compute_type: float32 may cure it";

}  // namespace

void bind_nonfinite(Binder& binder, std::string& choice) {
  binder.choice(choice,
                {.name = "nonfinite",
                 .description = "Images with NaN or infinite values, in pixels, features or what "
                                "is computed from them: fail the job and name them, or exclude "
                                "them from all metrics and count them in nonfinite_images.",
                 .choices = {"fail", "exclude"}});
}

at::Tensor finite_rows(const at::Tensor& values) {
  return values.isfinite().flatten(1).all(1).cpu();
}

int64_t count_false(const at::Tensor& finite) {
  return finite.numel() - finite.sum().item<int64_t>();
}

at::Tensor rows_where(const at::Tensor& values, const at::Tensor& finite) {
  if (count_false(finite) == 0) return values;
  return values.index_select(0, finite.nonzero().flatten().to(values.device()));
}

std::string names_of_false(const at::Tensor& finite, std::span<const int64_t> indices) {
  std::vector<int64_t> images;
  const bool* const values = finite.const_data_ptr<bool>();
  for (size_t i = 0; i < indices.size(); ++i) {
    if (!values[i]) images.push_back(indices[i]);
  }
  const size_t shown = std::min(images.size(), kListed);
  std::string text = fmt::format("image{} {}", images.size() == 1 ? "" : "s",
                                 fmt::join(images.begin(), images.begin() + shown, ", "));
  if (shown < images.size()) text += fmt::format(" and {} more", images.size() - shown);
  return text;
}

std::string names_of_false(const at::Tensor& finite, int64_t first) {
  std::vector<int64_t> indices(static_cast<size_t>(finite.numel()));
  std::iota(indices.begin(), indices.end(), first);
  return names_of_false(finite, indices);
}

void refuse_nonfinite(const std::string& choice, const std::string& names, const std::string& where,
                      const std::string& repair) {
  if (choice != "fail") return;
  throw Error(
      fmt::format("{} {} not finite {}", names, names.starts_with("image ") ? "is" : "are", where),
      repair.empty() ? std::string("`nonfinite: exclude` leaves such images out and counts "
                                   "them; ") +
                           kCure
                     : repair);
}

void require_finite(const std::string& choice, const at::Tensor& finite, int64_t first,
                    const std::string& where) {
  if (count_false(finite) > 0) refuse_nonfinite(choice, names_of_false(finite, first), where);
}

void LeftOut::report(JobContext& context, const std::string& what) const {
  bool any = false;
  for (size_t point = 0; point < counts_.size(); ++point) any = any || !all(point);
  if (!any && !counts_.empty()) {
    throw Error(
        fmt::format("none of {} {} is finite: there is nothing to measure", totals_.front(), what),
        kCure);
  }
  for (size_t point = 0; point < counts_.size(); ++point) {
    context.set(point, nonfinite_column().name, counts_[point]);
    if (counts_[point] == 0) continue;
    context.add_status(point, all(point)
                                  ? fmt::format("none of {} {} is finite: no metric is formed",
                                                totals_[point], what)
                                  : fmt::format("{} of {} {} are not finite and left out",
                                                counts_[point], totals_[point], what));
  }
}

Column nonfinite_column() {
  return {"nonfinite_images", ColumnType::kInt64, "",
          "images left out of all metrics because a value was not finite"};
}

}  // namespace tarflow::experiments
