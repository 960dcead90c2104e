#include "experiments/worker/kept.h"

#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/job/device.h"
#include "framework/record/dataset_file.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {

namespace fs = std::filesystem;

Json kept_identity(const JobContext& context, const Model& model, int version) {
  const Json& contents = context.job().contents.get();
  Json identity = {
      {"version", version},
      {"checkpoint", contents.at("checkpoint")},
      {"compute", to_string(model.compute)},
      {"device", model.device.is_cpu() ? job::this_cpu_model() : device_name(model.device)}};
  if (contents.contains("weights")) identity["weights"] = contents.at("weights");
  return identity;
}

KeptFile::KeptFile(JobContext& context, const std::string& prefix, const Json& identity)
    : context_(context),
      identity_(canonical(identity)),
      hash_(short_hash(identity_)),
      path_(context.cache_folder() / fmt::format("{}{}.h5", prefix, hash_)) {}

bool KeptFile::exists() const {
  std::error_code ignored;
  return fs::exists(path_, ignored);
}

void KeptFile::require_identity() const {
  if (record::read_root_attribute(path_, "identity") != identity_)
    throw Error("it is of something else");
}

void KeptFile::say_unusable(const std::exception& failure) const {
  context_.log(fmt::format("{} is not usable and is made again: {}", path_.filename().string(),
                           failure.what()));
}

void KeptFile::write(const std::string& what, const std::vector<record::Array>& arrays,
                     std::map<std::string, std::string> attributes) const {
  attributes["identity"] = identity_;
  try {
    record::write_datasets(path_, arrays, attributes);
  } catch (const Error& failure) {
    context_.log(fmt::format("{} is not kept: {}", what, failure.what()));
  }
}

void KeptFile::remove() const {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

std::string made_by_first(JobContext& context, const std::function<std::string()>& make) {
  dist::Communicator& comm = context.comm();
  constexpr const char* kStopped = "";
  std::string bytes;
  if (comm.first()) {
    try {
      bytes = make();
    } catch (const Stopped&) {
      comm.broadcast(kStopped);  // the others wait for it
      throw;
    }
  }
  bytes = comm.broadcast(bytes);
  if (bytes == kStopped) context.stop();
  return bytes;
}

}  // namespace tarflow::experiments
