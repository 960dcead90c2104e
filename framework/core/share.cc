#include "framework/core/share.h"

namespace tarflow {
namespace fs = std::filesystem;

fs::path share_folder(const fs::path& programs) {
  const fs::path share = programs / ".." / "share";
  std::error_code unknown;
  return fs::weakly_canonical(
      fs::is_directory(share / "tarflow", unknown) ? share / "tarflow" : share);
}

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

}  // namespace tarflow
