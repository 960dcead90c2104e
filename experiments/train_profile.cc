#include "experiments/train_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "framework/tensor/device.h"

namespace tarflow::experiments {

StepProfile::StepProfile(JobContext& context, const at::Device& device, int64_t first, int64_t end)
    : context_(context), device_(device), first_(std::max<int64_t>(first, 0)), end_(end) {}

void StepProfile::before(int64_t done) {
  if (done != first_ || done >= end_ || !context_.comm().first()) return;
  profiler_ = std::make_unique<Profiler>(device_);
  begun_ = std::chrono::steady_clock::now();
}

void StepProfile::after(int64_t done) {
  if (!profiler_ || done < end_) return;
  synchronize(device_);
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  profile_ = profiler_->finish();
  profiler_.reset();
}

void StepProfile::report() {
  if (first_ >= end_) return;  // nobody asked
  if (!profile_ || profile_->empty()) {
    context_.log(
        "no profile of the last steps: they were done before this start, or the profiler "
        "saw nothing of the device");
    return;
  }
  const double steps = static_cast<double>(end_ - first_);
  KernelLists kernels = kernel_lists(*profile_, steps);
  const double idle = kernels.all > 0 ? kernels.of_kind["framework"] / kernels.all : 0.0;
  context_.set_all("profiled_steps", end_ - first_);
  context_.set_all("profiled_step_seconds", seconds_ / steps);
  context_.set_all("idle_share", idle);
  context_.log(fmt::format(
      "profile of {} steps: {:.3g} s each, {:.1f} % without a kernel; most "
      "time in {} ({:.3g} s a step)",
      end_ - first_, seconds_ / steps, 100 * idle, kernels.names.front(), kernels.seconds.front()));
  context_.add("training/kernels/name", {}, array_values(std::move(kernels.names)));
  context_.add("training/kernels/kind", {}, array_values(std::move(kernels.kinds)));
  context_.add("training/kernels/seconds", {}, array_values(kernels.seconds));
  context_.add("training/kernels/calls", {}, array_values(kernels.calls));
}

std::vector<Column> train_profile_columns() {
  return {{"profiled_steps", ColumnType::kInt64, "", "steps of the profile; with profile_steps"},
          {"profiled_step_seconds", ColumnType::kFloat64, "s",
           "a step while it was profiled, which slows it a little", true},
          {"idle_share", ColumnType::kFloat64, "",
           "share of the profiled time in which no kernel and no copy ran; on a CPU, of ranges "
           "outside operations",
           true}};
}

std::vector<ArrayInfo> train_profile_arrays() {
  constexpr const char* kKernel = "kernel, the longest first";
  return {{"training/kernels/name",
           ElementType::kString,
           {kKernel},
           "",
           "kernels of the profiled steps; on a CPU operations",
           true},
          {"training/kernels/kind", ElementType::kString, {kKernel}, "", "what it does", true},
          {"training/kernels/seconds", ElementType::kFloat64, {kKernel}, "s", "of a step", true},
          {"training/kernels/calls", ElementType::kFloat64, {kKernel}, "", "of a step", true}};
}

}  // namespace tarflow::experiments
