#include "experiments/worker/profiler.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

namespace kineto = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

std::set<ActivityType> activities_of(const at::Device& device) {
  return {device.is_cuda() ? ActivityType::CUDA : ActivityType::CPU};
}

struct Span {
  uint64_t start = 0, end = 0;
  std::string name;
};

// Ranges of one thread nest: the time of each less that of those inside it.
Profile self_times(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
    return std::pair(a.start, b.end) < std::pair(b.start, a.end);
  });
  Profile profile;
  std::vector<const Span*> open;
  for (const Span& span : spans) {
    while (!open.empty() && open.back()->end <= span.start) open.pop_back();
    const double seconds = 1e-9 * static_cast<double>(span.end - span.start);
    if (!open.empty()) profile[open.back()->name].seconds -= seconds;
    KernelTime& own = profile[span.name];
    own.calls += 1;
    own.seconds += seconds;
    open.push_back(&span);
  }
  return profile;
}

Profile device_times(const std::vector<kineto::KinetoEvent>& events) {
  Profile profile;
  std::vector<std::pair<uint64_t, uint64_t>> busy;
  for (const kineto::KinetoEvent& event : events) {
    if (event.deviceType() != at::DeviceType::CUDA) continue;
    KernelTime& kernel = profile[event.name()];
    kernel.calls += 1;
    kernel.seconds += 1e-9 * static_cast<double>(event.durationNs());
    busy.emplace_back(event.startNs(), event.startNs() + event.durationNs());
  }
  if (!busy.empty()) profile[kNoKernel] = {1, seconds_between(std::move(busy))};
  return profile;
}

Profile thread_times(const std::vector<kineto::KinetoEvent>& events) {
  std::vector<Span> spans;
  for (const kineto::KinetoEvent& event : events) {
    if (event.deviceType() != at::DeviceType::CPU || event.durationNs() == 0) continue;
    spans.push_back({event.startNs(), event.endNs(), event.name()});
  }
  return self_times(std::move(spans));
}

}  // namespace

double seconds_between(std::vector<std::pair<uint64_t, uint64_t>> spans) {
  std::sort(spans.begin(), spans.end());
  uint64_t idle = 0, end = spans.empty() ? 0 : spans.front().first;
  for (const auto& [from, to] : spans) {
    if (from > end) idle += from - end;
    end = std::max(end, to);
  }
  return 1e-9 * static_cast<double>(idle);
}

std::string kernel_kind(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  // In this order: kernels of attention are called gemm as well, those of norms may copy.
  constexpr std::array<std::pair<const char*, const char*>, 24> kWords{
      {{"flash", "attention"},      {"fmha", "attention"},   {"sdpa", "attention"},
       {"attention", "attention"},  {"decode", "attention"}, {"splitkv", "attention"},
       {"guided_update", "update"}, {"gemm", "gemm"},        {"gemv", "gemm"},
       {"nvjet", "gemm"},           {"cutlass", "gemm"},     {"xmma", "gemm"},
       {"matrix products", "gemm"}, {"aten::addmm", "gemm"}, {"aten::mm", "gemm"},
       {"aten::bmm", "gemm"},       {"norm", "norm"},        {"gelu", "gelu"},
       {"memcpy", "copy"},          {"memset", "copy"},      {"copy", "copy"},
       {"splitk", "gemm"},          {"update", "update"},    {"iteration", "framework"}}};
  if (lower.starts_with("block ") || lower == kNoKernel) return "framework";
  for (const auto& [word, kind] : kWords) {
    if (lower.find(word) != std::string::npos) return kind;
  }
  return "other";
}

KernelLists kernel_lists(const Profile& profile, double parts) {
  std::vector<std::pair<std::string, KernelTime>> kernels(profile.begin(), profile.end());
  std::sort(kernels.begin(), kernels.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  KernelLists lists;
  for (const auto& [name, kernel] : kernels) {
    lists.names.push_back(name);
    lists.kinds.push_back(kernel_kind(name));
    lists.seconds.push_back(kernel.seconds / parts);
    lists.calls.push_back(kernel.calls / parts);
    lists.of_kind[lists.kinds.back()] += kernel.seconds;
    lists.all += kernel.seconds;
  }
  return lists;
}

Profiler::Profiler(const at::Device& device) : device_(device) {
  synchronize(device_);
  const ProfilerConfig config(ProfilerState::KINETO);
  kineto::prepareProfiler(config, activities_of(device_));
  kineto::enableProfiler(config, activities_of(device_),
                         {at::RecordScope::FUNCTION, at::RecordScope::USER_SCOPE});
}

Profiler::~Profiler() {
  if (running_) kineto::disableProfiler();
}

Profile Profiler::finish() {
  synchronize(device_);
  running_ = false;
  const auto result = kineto::disableProfiler();
  if (!result) return {};
  return device_.is_cuda() ? device_times(result->events()) : thread_times(result->events());
}

}  // namespace tarflow::experiments
