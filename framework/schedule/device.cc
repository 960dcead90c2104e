#include "framework/schedule/device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSpace = " \t\r\n";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The value of the first line "key : value".
std::string value_of(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && trimmed(line.substr(0, colon)) == key) {
      return trimmed(line.substr(colon + 1));
    }
  }
  return "";
}

std::string text_or_nothing(const fs::path& file) {
  try {
    return read_file(file);
  } catch (const Error&) {
    return "";
  }
}

bool gpus_hidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible && (std::string_view(visible).empty() || std::string_view(visible) == "-1");
}

std::string gpu_from_driver() {
  std::error_code failed;
  std::vector<fs::path> gpus;
  for (fs::directory_iterator entry("/proc/driver/nvidia/gpus", failed), end;
       !failed && entry != end; entry.increment(failed)) {
    gpus.push_back(entry->path());
  }
  if (gpus.empty()) return "";
  return gpu_model(text_or_nothing(*std::min_element(gpus.begin(), gpus.end()) / "information"));
}

// Containers may hide the driver's folder while the device is there.
std::string gpu_listing() {
  std::error_code ignored;
  if (!fs::exists("/dev/nvidiactl", ignored)) return "";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen("nvidia-smi -L 2>/dev/null", "r"),
                                                   ::pclose);
  if (!pipe) return "";
  std::string listing;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe.get()))
    listing.append(buffer, count);
  return listing;
}

}  // namespace

std::string cpu_model(const std::string& cpuinfo) { return value_of(cpuinfo, "model name"); }

std::string gpu_model(const std::string& information) { return value_of(information, "Model"); }

std::string listed_gpu_model(const std::string& listing) {
  const std::string name = value_of(listing, "GPU 0");
  return trimmed(name.substr(0, name.find(" (UUID")));
}

size_t listed_gpu_count(const std::string& listing) {
  std::istringstream lines(listing);
  size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.starts_with("GPU ");
  return count;
}

std::vector<std::string> visible_gpus() {
  std::vector<std::string> gpus;
  if (gpus_hidden()) return gpus;
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
    std::istringstream names(visible);
    for (std::string name; std::getline(names, name, ',');) gpus.push_back(trimmed(name));
    return gpus;
  }
  const size_t count = listed_gpu_count(gpu_listing());
  for (size_t i = 0; i < count; ++i) gpus.push_back(std::to_string(i));
  return gpus;
}

DeviceModels device_models() {
  const std::string cpu = cpu_model(text_or_nothing("/proc/cpuinfo"));
  return {device_model(), cpu.empty() ? "unknown" : cpu};
}

std::string device_model() {
  std::string model;
  if (!gpus_hidden()) {
    model = gpu_from_driver();
    if (model.empty()) model = listed_gpu_model(gpu_listing());
  }
  if (model.empty()) model = cpu_model(text_or_nothing("/proc/cpuinfo"));
  return model.empty() ? "unknown" : model;
}

}  // namespace tarflow::schedule
