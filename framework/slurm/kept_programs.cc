#include "framework/slurm/kept_programs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "framework/core/error.h"
#include "framework/core/hash.h"

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

}  // namespace

fs::path keep_programs(const fs::path& programs, const fs::path& store) {
  const fs::path kept = store / content_of(programs);
  const fs::path part = store / fmt::format(".{}.{}.part", kept.filename().string(), ::getpid());
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
