#include "framework/core/version.h"

#include <fmt/format.h>

#include "framework/core/version/build_facts.h"

namespace tarflow {

const Build& this_build() {
  static const Build build{TARFLOW_VERSION, TARFLOW_GIT_REVISION, TARFLOW_GIT_BRANCH,
                           TARFLOW_VARIANT};
  return build;
}

std::string version_text(const std::string& program, const std::string& libtorch) {
  const Build& build = this_build();
  std::string text =
      fmt::format("{} {} of tarflow-sampling\ngit revision: {}{}\nvariant: {}", program,
                  build.version, build.git_revision,
                  build.git_branch.empty() ? "" : ", branch " + build.git_branch, build.variant);
  return libtorch.empty() ? text : text + "\nLibTorch: " + libtorch;
}

}  // namespace tarflow
