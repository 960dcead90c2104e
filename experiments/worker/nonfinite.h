// Values that are not finite (NaN or infinite): the setting `nonfinite`, and what a point says of
// the images that it leaves out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "experiments/worker/settings.h"

namespace tarflow::experiments {

// The setting `nonfinite`, the same for every experiment: "fail" or "exclude".
void bind_nonfinite(Binder& binder, std::string& choice);

// (N) bool on the CPU: whether all values of row i of a tensor (N, ..., D) are finite.
at::Tensor finite_rows(const at::Tensor& values);
int64_t count_false(const at::Tensor& finite);
// The rows that `finite` (N) names, on the device of `values`; `values` itself where it names all.
at::Tensor rows_where(const at::Tensor& values, const at::Tensor& finite);

// "images 3, 7 and 5 more": the indices at which `finite` (N) is false, row 0 being image `first`.
std::string names_of_false(const at::Tensor& finite, int64_t first);
// The same where row i is image indices[i].
std::string names_of_false(const at::Tensor& finite, std::span<const int64_t> indices);

// Throws Error "NAMES are not finite WHERE" when `choice` is "fail". `repair`: "" for the usual
// one.
void refuse_nonfinite(const std::string& choice, const std::string& names, const std::string& where,
                      const std::string& repair = "");
// Does so where a row is not finite, row 0 being image `first`.
void require_finite(const std::string& choice, const at::Tensor& finite, int64_t first,
                    const std::string& where);

// The images that the points of a job leave out.
class LeftOut {
 public:
  explicit LeftOut(size_t points) : counts_(points), totals_(points) {}

  // Of a chunk: `finite` (N).
  void add(size_t point, const at::Tensor& finite) {
    add(point, count_false(finite), finite.numel());
  }
  void add(size_t point, int64_t left_out, int64_t total) {
    counts_.at(point) += left_out;
    totals_.at(point) += total;
  }

  int64_t count(size_t point) const { return counts_.at(point); }
  bool all(size_t point) const { return counts_.at(point) == totals_.at(point); }

  // Sets the column nonfinite_images of each point, and its status where images are left out.
  // Throws Error where all points of the job have left out all images: nothing was measured.
  void report(JobContext& context, const std::string& what = "images") const;

 private:
  std::vector<int64_t> counts_, totals_;
};

Column nonfinite_column();  // what LeftOut::report sets

}  // namespace tarflow::experiments
