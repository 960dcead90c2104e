#include "framework/slurm/kept_programs.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/process/host.h"
#include "framework/process/lease.h"
#include "framework/slurm/events.h"
#include "framework/slurm/submission.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPrograms[] = {"run_sweep", "run_job"};
constexpr size_t kHashCharacters = 16;

std::string content_of(const fs::path& programs) {
  std::string text;
  for (const char* name : kPrograms)
    text += fmt::format("{} {}\n", name, sha256_file(programs / name));
  return sha256_hex(text).substr(0, kHashCharacters);
}

// Whether a run_sweep other than this one may be at work on the sweep.
bool at_work(const fs::path& sweep_folder) {
  if (is_absent(sweep_folder / "lease.json")) return false;
  const std::optional<process::LeaseHolder> holder = process::read_lease(sweep_folder);
  return !holder || process::life_of(*holder) != process::Life::kDead;
}

// The names of the copies that jobs may still run; nothing where that cannot be told.
std::optional<std::set<std::string>> names_in_use(const fs::path& results,
                                                  const fs::path& own_sweep) {
  std::set<std::string> names;
  std::vector<Problem> unread;
  std::error_code failed, unknown;
  for (fs::directory_iterator sweep(results, failed), end; !failed && sweep != end;
       sweep.increment(failed)) {
    if (!sweep->is_directory(unknown)) continue;
    if (!fs::equivalent(sweep->path(), own_sweep, unknown) && at_work(sweep->path())) return {};
    for (const KnownSubmission& known : read_submissions(sweep->path(), unread)) {
      if (known.submission.open() && !all_tasks_finished(known.folder, known.submission)) {
        names.insert(known.submission.programs.parent_path().filename().string());
      }
    }
  }
  if (failed || !unread.empty()) return {};
  return names;
}

constexpr std::string_view kUnused = ".unused", kPart = ".part";

double bytes_in(const fs::path& folder) {
  double bytes = 0;
  for (const char* name : kPrograms) {
    std::error_code failed;
    const uintmax_t size = fs::file_size(folder / "bin" / name, failed);
    if (!failed) bytes += static_cast<double>(size);
  }
  return bytes;
}

void remove_counted(const fs::path& copy, RemovedPrograms& removed) {
  const double bytes = bytes_in(copy);
  std::error_code failed;
  if (fs::remove_all(copy, failed) == 0 || failed) return;  // another was first
  ++removed.copies;
  removed.bytes += bytes;
}

}  // namespace

// A copy has another name first. A run_sweep that came meanwhile and saw it under its own name
// holds a lease by then: it gets it back. A part that was there before it was found that nobody is
// at work is one that was interrupted, since whoever copies holds a lease; later ones have other
// names.
RemovedPrograms remove_unused_programs(const fs::path& results, const fs::path& store,
                                       const fs::path& own_sweep) {
  RemovedPrograms removed;
  std::vector<fs::path> copies;
  std::error_code failed, ignored;
  for (fs::directory_iterator copy(store, failed), end; !failed && copy != end;
       copy.increment(failed)) {
    copies.push_back(copy->path());
  }
  const auto before = copies.empty() ? std::nullopt : names_in_use(results, own_sweep);
  if (!before) return removed;
  for (const fs::path& copy : copies) {
    std::string name = copy.filename().string();
    const bool hidden = name.starts_with('.'), part = hidden && name.ends_with(kPart);
    const bool left = hidden && name.ends_with(kUnused);  // by one that was killed
    if (part) remove_counted(copy, removed);
    if (hidden && !left) continue;
    if (left) name = name.substr(1, name.size() - 1 - kUnused.size());
    if (!left && before->contains(name)) continue;
    const fs::path aside = store / fmt::format(".{}{}", name, kUnused);
    if (!left) fs::rename(copy, aside, failed);
    if (!left && failed) continue;
    const auto now = names_in_use(results, own_sweep);
    if (!now || now->contains(name)) {
      fs::rename(aside, store / name, ignored);
      continue;
    }
    remove_counted(aside, removed);
  }
  return removed;
}

fs::path keep_programs(const fs::path& programs, const fs::path& store) {
  const fs::path kept = store / content_of(programs);
  const fs::path part =
      store / fmt::format(".{}.{}{}", kept.filename().string(), process::random_nonce(), kPart);
  std::error_code unknown;
  if (fs::exists(kept, unknown)) return kept / "bin";
  try {
    fs::create_directories(part / "bin");
    for (const char* name : kPrograms)
      fs::copy_file(programs / name, part / "bin" / name, fs::copy_options::overwrite_existing);
    // Installed programs look for their libraries in ../lib.
    const fs::path libraries = fs::canonical(programs).parent_path() / "lib";
    if (fs::is_directory(libraries)) fs::create_directory_symlink(libraries, part / "lib");
    std::error_code failed;
    fs::rename(part, kept, failed);
    if (failed && !fs::exists(kept / "bin")) throw fs::filesystem_error("rename", kept, failed);
  } catch (const fs::filesystem_error& failure) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    throw Error(fmt::format("cannot copy the programs of {} to {}: {}", programs.string(),
                            kept.string(), failure.code().message()),
                "jobs that wait need their programs there: free space, or make it writable");
  }
  std::error_code ignored;
  fs::remove_all(part, ignored);  // where another run_sweep was first
  return kept / "bin";
}

}  // namespace tarflow::slurm
