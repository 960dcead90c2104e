#include "experiments/worker/partial_file.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>

#include "experiments/worker/environment.h"
#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/job/claim.h"
#include "framework/record/fault.h"
#include "framework/record/sealed_file.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr const char* kIdentity = "identity";
// What a write costs before one was measured: opening, syncing and renaming, and the bytes.
constexpr double kWriteSeconds = 0.01, kSecondsPerByte = 1e-8;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

record::Array identity_array(const Json& identity) {
  record::Array array;
  array.path = kIdentity;
  array.type = record::ArrayType::kString;
  array.strings = {canonical(identity)};
  return array;
}

// The entries in which two identities differ, as the log names them.
std::string difference(const Json& found, const Json& wanted) {
  std::string text;
  for (const auto& [key, value] : wanted.items()) {
    const Json other = found.value(key, Json());
    if (other == value) continue;
    if (!text.empty()) text += ", ";
    text += value.is_array() ? key : fmt::format("{} {}, now {}", key, other.dump(), value.dump());
  }
  return text;
}

}  // namespace

std::filesystem::path partial_path(const std::filesystem::path& job_folder) {
  return job_folder / "partial.h5";
}

Json partial_identity(const JobContext& context, const at::Device& device, ComputeType compute) {
  Json keys = Json::array();
  for (const job::JobPoint& point : context.job().points) keys.push_back(point.key);
  Json identity = build_identity();
  identity.update({{"format", 1},
                   {"job", context.job().hash},
                   {"generation", context.job().generation},
                   {"points", std::move(keys)},
                   {"experiment", context.schema().name},
                   {"revision", context.schema().revision},
                   {"device", device_name(device)},
                   {"compute", to_string(compute)},
                   {"threads", at::get_num_threads()}});
  return identity;
}

PartialFile::PartialFile(JobContext& context, Json identity)
    : context_(context), identity_(std::move(identity)) {}

std::optional<ArrayMap> PartialFile::read() const {
  const std::filesystem::path path = partial_path(context_.folder());
  if (is_absent(path)) return std::nullopt;
  try {
    ArrayMap arrays(record::read_sealed(path));
    const Json found = Json::parse(arrays.text(kIdentity));
    if (found == identity_) return arrays;
    context_.log(fmt::format("{} is not continued; it was made with another {}",
                             path.filename().string(), difference(found, identity_)));
  } catch (const record::NotRead& failure) {
    if (failure.fault() == record::Fault::kAbsent) return std::nullopt;
    if (failure.fault() != record::Fault::kDamaged) {
      throw Error(failure.problems().front().what,
                  "it is kept and nothing is computed over it: make it readable and run the same "
                  "command again, or move it away to start from the beginning");
    }
    context_.log(fmt::format("{}; it is not continued and is kept as {}",
                             failure.problems().front().what, set_aside(path).string()));
  } catch (const std::exception& failure) {
    context_.log(fmt::format("{} is not continued: {}", path.filename().string(), failure.what()));
  }
  return std::nullopt;
}

bool PartialFile::due(size_t bytes) const {
  const double expected = kWriteSeconds + kSecondsPerByte * static_cast<double>(bytes);
  return std::max(expected, write_seconds_) <= kWriteShare * seconds_since(last_write_);
}

bool PartialFile::write(std::vector<record::Array> arrays) {
  job::require_claim(context_.folder());
  const Clock::time_point start = Clock::now();
  arrays.push_back(identity_array(identity_));
  bool written = true;
  try {
    record::write_sealed(partial_path(context_.folder()), std::move(arrays));
  } catch (const std::exception& failure) {
    written = false;
    context_.log(
        fmt::format("what is done could not be kept for a later start: {}", failure.what()));
  }
  write_seconds_ = seconds_since(start);
  last_write_ = Clock::now();
  return written;
}

}  // namespace tarflow::experiments
