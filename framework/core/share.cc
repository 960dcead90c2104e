#include "framework/core/share.h"

#include <cstdlib>

namespace tarflow {
namespace fs = std::filesystem;

fs::path share_folder(const fs::path& programs) {
  const fs::path share = programs / ".." / "share";
  std::error_code unknown;
  return fs::weakly_canonical(fs::is_directory(share / "tarflow", unknown) ? share / "tarflow"
                                                                           : share);
}

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

std::filesystem::path site_folder() {
  const char* site = std::getenv("TARFLOW_SITE");
  return site && *site == '/' ? std::filesystem::path(site) : std::filesystem::path("/etc/tarflow");
}

}  // namespace tarflow
