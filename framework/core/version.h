// Which build a program is: what --version prints, and records hold. In the library
// tarflow_version.
#pragma once

#include <string>

namespace tarflow {

struct Build {
  std::string version;       // of the project: "0.1.0"
  std::string git_revision;  // of the sources; "-dirty" at its end: changed; "unknown": without git
  std::string git_branch;    // "" where no branch was checked out
  std::string variant;       // "cpu", "cuda", or "without worker": a build without LibTorch
};

const Build& this_build();

// What `program` prints for --version, without the last line's end. `libtorch`: the version of the
// LibTorch that is linked; "" for programs without it.
std::string version_text(const std::string& program, const std::string& libtorch = "");

}  // namespace tarflow
