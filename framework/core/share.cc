#include "framework/core/share.h"

#include <fmt/format.h>

#include <cstdlib>

#include "framework/core/error.h"

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
  if (!site || *site == '\0') return "/etc/tarflow";
  if (*site != '/')
    throw Error(fmt::format("TARFLOW_SITE is `{}`, which is no absolute path", site),
                "set it to the whole path of the site's folder, or unset it");
  std::error_code unknown;
  if (!fs::is_directory(site, unknown))
    throw Error(fmt::format("TARFLOW_SITE is `{}`, and there is no such folder", site),
                "correct it, or unset it: without the site's cluster profile the jobs would run on "
                "this machine");
  return site;
}

}  // namespace tarflow
