// run_sweep check: does the cluster have what the profile asks for?
#include "framework/driver/check.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "framework/core/error.h"
#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/slurm/check.h"
#include "framework/slurm/cluster_profile_file.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

std::string user_name() {
  const passwd* user = ::getpwuid(::getuid());
  return user ? user->pw_name : std::to_string(::getuid());
}

// The user's own profile, which need not exist.
std::string own_profile(const RunOptions& options) {
  return (options.config_folder / "cluster.yaml").string();
}

// "edit FILE" for a file of the user's or the site's, "copy FILE to ..." for a shipped one.
std::string where_to_correct(const RunOptions& options) {
  const auto file = slurm::find_profile_file(options.cluster, profile_folders(options));
  if (!file) return fmt::format("copy it to {}", own_profile(options));
  std::error_code unknown;
  if (fs::equivalent(file->parent_path(), shipped_profiles(options), unknown))
    return fmt::format("copy {} to {}", file->string(), own_profile(options));
  return fmt::format("edit {}", file->string());
}

}  // namespace

std::string example_text(const slurm::ClusterProfile& profile, const std::string& example) {
  return fmt::format(
      "profile {} is the shipped example `{}` as it is: partition `{}`{} may not exist on your "
      "cluster",
      profile.name, example, profile.partition,
      profile.account.empty() ? "" : fmt::format(" and account `{}`", profile.account));
}

std::string profile_text(const slurm::ClusterProfile& profile, const RunOptions& options) {
  const auto file = slurm::find_profile_file(options.cluster, profile_folders(options));
  return file ? fmt::format("{}, {}", profile.name, file->string()) : profile.name;
}

void note_example(const slurm::ClusterProfile& profile, const RunOptions& options) {
  if (!profile.queued()) return;
  const std::string example = slurm::example_of(profile, shipped_profiles(options));
  if (example.empty()) return;
  complain(
      fmt::format("note: {}; run_sweep check asks the cluster", example_text(profile, example)));
}

// A shipped example is submitted with only where the cluster has what it names.
void require_fitting_example(const slurm::ClusterProfile& profile, const RunOptions& options,
                             const slurm::Patience& patience) {
  const std::string example = slurm::example_of(profile, shipped_profiles(options));
  if (example.empty()) return;
  const std::vector<slurm::Finding> found = slurm::check_profile(profile, user_name(), patience);
  if (!slurm::any_bad(found)) return complain("note: " + example_text(profile, example));
  throw UnfitProfile(
      fmt::format("{}\n{}", example_text(profile, example), slurm::findings_text(found)),
      fmt::format("{} and correct what is WRONG; run_sweep check asks again without "
                  "submitting anything",
                  where_to_correct(options)));
}

int check_cluster(const RunOptions& options) {
  const slurm::ClusterProfile profile = profile_of(options);
  if (!profile.queued()) {
    throw Error(
        fmt::format("check asks a cluster about its profile, but the profile here is {}: jobs run "
                    "on this machine",
                    profile_text(profile, options)),
        fmt::format("add --cluster NAME of a cluster, or write {} or {}", own_profile(options),
                    (options.site_folder / "cluster.yaml").string()));
  }
  slurm::Patience patience;
  patience.limit = std::chrono::minutes(1);
  patience.elsewhere = "run check on a machine from which jobs are submitted";
  patience.notice = complain;
  std::vector<slurm::Finding> found;
  if (profile.by_command()) {
    found = slurm::check_templates(profile, patience);
  } else {
    found = slurm::check_profile(profile, user_name(), patience);
    found.push_back(slurm::test_submission(profile, patience));
  }
  for (slurm::Finding& finding : slurm::check_shared_folder(options.results))
    found.push_back(std::move(finding));
  if (const std::string example = slurm::example_of(profile, shipped_profiles(options));
      !example.empty())
    found.push_back({slurm::Finding::Kind::kUnknown, example_text(profile, example), ""});
  fmt::print("cluster profile {}\n{}", profile_text(profile, options), slurm::findings_text(found));
  return slurm::any_bad(found) ? kNotAllDone : kAllDone;
}

}  // namespace tarflow::driver
