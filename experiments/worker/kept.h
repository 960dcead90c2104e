// What later jobs need not compute again: files in the folder `cache` of the results, by what they
// depend on.
#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "framework/core/json.h"
#include "framework/record/record.h"

namespace tarflow::experiments {

// What everything that is kept of a model depends on: "version", raised when the numbers become
// others, "checkpoint", "weights" of a file of several models, "compute" and "device". Device: the
// model of the GPU or of the CPU.
Json kept_identity(const JobContext& context, const Model& model, int version);

class KeptFile {
 public:
  // cache/PREFIXHASH.h5, by the hash of the identity. Keeps a reference to the context.
  KeptFile(JobContext& context, const std::string& prefix, const Json& identity);

  const std::filesystem::path& path() const { return path_; }
  const std::string& hash() const { return hash_; }  // of the identity
  bool exists() const;

  // What `read` makes of the file; it throws where the content is not right. Nothing without a
  // file, and for one that is not usable, of which the log says why.
  template <typename Read>
  auto read(const Read& read) const -> std::optional<decltype(read(std::filesystem::path()))> {
    if (!exists()) return std::nullopt;
    try {
      require_identity();
      return read(path_);
    } catch (const std::exception& failure) {
      say_unusable(failure);
      return std::nullopt;
    }
  }

  // Written aside and renamed. A cache that cannot be written costs the next job some time, and
  // this one a line in the log, which calls the content `what`.
  void write(const std::string& what, const std::vector<record::Array>& arrays,
             std::map<std::string, std::string> attributes) const;
  void remove() const;

 private:
  void require_identity() const;  // throws Error
  void say_unusable(const std::exception& failure) const;

  JobContext& context_;
  const std::string identity_, hash_;
  const std::filesystem::path path_;
};

// What `make` returns on rank 0, on all ranks; "" is none. Ranks end together where rank 0 throws
// Stopped.
std::string made_by_first(JobContext& context, const std::function<std::string()>& make);

}  // namespace tarflow::experiments
