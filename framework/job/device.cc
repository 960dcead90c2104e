#include "framework/job/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/process/command.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSpace = " \t\r\n";

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Runs of letters and digits, in lower case.
std::vector<std::string> words_in(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      words.back() += static_cast<char>(std::tolower(byte));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
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

// An empty text, or CUDA's and Slurm's ways to say so.
bool hides_all(const std::string& named) {
  const std::string text = trimmed(named);
  return text.empty() || text == "NoDevFiles" ||
         (text[0] == '-' && text.find(',') == std::string::npos);
}

bool gpus_hidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible && hides_all(visible);
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

bool is_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Of /dev: nvidia0, nvidia1, ...
size_t device_files(const fs::path& devices) {
  constexpr std::string_view kName = "nvidia";
  size_t count = 0;
  std::error_code failed;
  for (fs::directory_iterator entry(devices, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    count += name.starts_with(kName) && is_digits(name.substr(kName.size()));
  }
  return count;
}

// What does not change while the program runs is asked once.
const GpuListing& this_listing() {
  static const GpuListing listing =
      list_gpus({"nvidia-smi", "-L"}, "/dev", std::chrono::seconds(10));
  return listing;
}

// Whether CUDA takes the name for this GPU or a part of it: a UUID may be shortened.
bool names_gpu(const std::string& name, const ListedGpu& gpu) {
  if (name.starts_with("GPU-")) return gpu.uuid.starts_with(name);
  // Drivers before 470 name parts MIG-<UUID of the GPU>/<instance>/<instance>.
  if (name.starts_with("MIG-GPU-")) return gpu.uuid == name.substr(4, name.find('/') - 4);
  return std::any_of(gpu.parts.begin(), gpu.parts.end(),
                     [&](const std::string& part) { return part.starts_with(name); });
}

// What is wrong with a name of CUDA_VISIBLE_DEVICES; "": nothing.
std::string fault_of(const std::string& name, const GpuListing& listing) {
  if (name.empty()) return "is empty";
  const bool uuid = (name.starts_with("GPU-") || name.starts_with("MIG-")) && name.size() > 4;
  if (!is_digits(name) && !uuid) return "is no number and no UUID of a GPU";
  if (is_digits(name)) {
    const bool known = listing.count > 0;
    if (!known || (name.size() < 6 && std::stoul(name) < listing.count)) return "";
    return fmt::format(
        "is not there: the machine has {} GPU{}", listing.count,
        listing.count == 1 ? ", number 0" : fmt::format("s, 0 to {}", listing.count - 1));
  }
  const auto count = std::count_if(listing.gpus.begin(), listing.gpus.end(),
                                   [&](const ListedGpu& gpu) { return names_gpu(name, gpu); });
  if (listing.gpus.empty() || count == 1) return "";
  return count == 0 ? "is not there: `nvidia-smi -L` lists the GPUs of the machine"
                    : "begins the UUIDs of several GPUs";
}

std::vector<std::string> names_in(const std::string& named, const GpuListing& listing) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= named.size();) {
    const size_t end = std::min(named.find(',', begin), named.size());
    const std::string name = trimmed(named.substr(begin, end - begin));
    begin = end + 1;
    std::string fault = fault_of(name, listing);
    if (fault.empty() && std::find(names.begin(), names.end(), name) != names.end()) {
      fault = "stands there twice";
    }
    if (!fault.empty()) {
      throw Error(fmt::format("CUDA_VISIBLE_DEVICES is `{}`: its entry {}, `{}`, {}", named,
                              names.size() + 1, name, fault),
                  "correct it, or unset it to use all GPUs; an empty text hides all");
    }
    names.push_back(name);
  }
  return names;
}

}  // namespace

std::string cpu_model(const std::string& cpuinfo) { return value_of(cpuinfo, "model name"); }

std::string gpu_model(const std::string& information) { return value_of(information, "Model"); }

std::vector<ListedGpu> listed_gpus(const std::string& listing) {
  const auto uuid_in = [](const std::string& line) {
    const size_t at = line.find("UUID: ");
    return at == std::string::npos ? "" : line.substr(at + 6, line.find(')', at) - at - 6);
  };
  std::vector<ListedGpu> gpus;
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (line.starts_with("GPU ") && colon != std::string::npos) {
      const std::string name = line.substr(colon + 1);
      gpus.push_back({trimmed(name.substr(0, name.find("(UUID"))), uuid_in(line), {}});
    } else if (!gpus.empty() && trimmed(line).starts_with("MIG ")) {
      gpus.back().parts.push_back(uuid_in(line));
    }
  }
  return gpus;
}

GpuListing list_gpus(const std::vector<std::string>& command, const fs::path& devices,
                     std::chrono::milliseconds limit) {
  GpuListing listing;
  std::error_code ignored;
  // Containers may hide the driver's folder in /proc while the devices are there.
  if (!fs::exists(devices / "nvidiactl", ignored)) return listing;
  const process::Said said = process::run_command(command, limit);
  if (said.well()) {
    listing.gpus = listed_gpus(said.out);
    listing.count = listing.gpus.size();
    return listing;
  }
  listing.count = device_files(devices);
  listing.trouble =
      fmt::format("{} does not tell which GPUs there are ({}); {} has device files of {}",
                  command.front(), said.complaint(), devices.string(), listing.count);
  return listing;
}

VisibleGpus visible_gpus(const char* named, const GpuListing& listing) {
  VisibleGpus visible;
  if (!listing.trouble.empty()) visible.notes.push_back(listing.trouble);
  if (named && hides_all(named)) {
    if (listing.count > 0) {
      visible.notes.push_back(
          fmt::format("CUDA_VISIBLE_DEVICES is `{}`, which hides the machine's GPUs ({}): jobs run "
                      "on the CPU",
                      named, listing.count));
    }
    return visible;
  }
  if (!named) {
    for (size_t i = 0; i < listing.count; ++i) visible.names.push_back(std::to_string(i));
    return visible;
  }
  visible.numbered = false;
  visible.names = names_in(named, listing);
  if (listing.count == 0) {
    visible.notes.push_back(fmt::format(
        "CUDA_VISIBLE_DEVICES is `{}`, but no NVIDIA GPU is seen on this machine", named));
  }
  return visible;
}

VisibleGpus visible_gpus() {
  const char* named = std::getenv("CUDA_VISIBLE_DEVICES");
  // Hidden ones are counted without waiting for nvidia-smi.
  if (gpus_hidden()) return visible_gpus(named, {{}, device_files("/dev"), ""});
  return visible_gpus(named, this_listing());
}

std::string this_cpu_model() {
  const std::string cpu = cpu_model(text_or_nothing("/proc/cpuinfo"));
  return cpu.empty() ? "unknown" : cpu;
}

bool is_of_model(const std::string& used, const std::string& stated) {
  if (used.empty()) return true;
  const std::vector<std::string> all = words_in(used), wanted = words_in(stated);
  return std::search(all.begin(), all.end(), wanted.begin(), wanted.end()) != all.end() ||
         wanted.empty();
}

DeviceModels device_models() { return {device_model(), this_cpu_model()}; }

std::string device_model() {
  if (gpus_hidden()) return this_cpu_model();
  if (const std::string model = gpu_from_driver(); !model.empty()) return model;
  const GpuListing& listing = this_listing();
  if (!listing.gpus.empty()) return listing.gpus.front().model;
  return listing.count > 0 ? "NVIDIA GPU" : this_cpu_model();
}

}  // namespace tarflow::job
