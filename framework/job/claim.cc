#include "framework/job/claim.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/json.h"
#include "framework/process/host.h"

namespace tarflow::job {
namespace {

struct Claim {
  std::string nonce, host, place, since;
  int64_t pid = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Claim, nonce, host, place, since, pid)

std::filesystem::path file_in(const std::filesystem::path& job_folder) {
  return job_folder / "claim.json";
}

}  // namespace

std::string take_claim(const std::filesystem::path& job_folder, const std::string& place) {
  const Claim claim{process::random_nonce(), process::host_name(), place, process::utc_now(),
                    ::getpid()};
  write_json_file(file_in(job_folder), claim);
  return claim.nonce;
}

std::optional<std::string> other_claimant(const std::filesystem::path& job_folder,
                                          const std::string& claim) {
  std::error_code ignored;
  if (claim.empty() || !std::filesystem::exists(file_in(job_folder), ignored)) return std::nullopt;
  try {
    const auto found = read_json_file(file_in(job_folder)).get<Claim>();
    if (found.nonce == claim) return std::nullopt;
    return fmt::format("process {} on {}{}, since {}", found.pid, found.host,
                       found.place.empty() ? "" : fmt::format(" (task {})", found.place),
                       found.since);
  } catch (const std::exception&) {
    return std::nullopt;  // read again later
  }
}

void require_claim(const std::filesystem::path& job_folder) {
  const char* claim = std::getenv(kClaimVariable);
  if (const auto other = other_claimant(job_folder, claim ? claim : "")) {
    throw Error(fmt::format("{} was taken over by {}", job_folder.string(), *other),
                "nothing is to be done: that one computes the job");
  }
}

}  // namespace tarflow::job
