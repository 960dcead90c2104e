#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {
namespace fs = std::filesystem;

ScratchFolder::ScratchFolder() {
  const fs::path memory = "/dev/shm";
  const bool usable = std::getenv("TMPDIR") == nullptr && ::access(memory.c_str(), W_OK) == 0;
  std::string name = (usable ? memory : fs::temp_directory_path()) / "tarflow_fuzz_XXXXXX";
  must(::mkdtemp(name.data()) != nullptr, "cannot make a folder");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path ScratchFolder::put(const std::string& name, std::string_view bytes) const {
  const fs::path file = path_ / name;
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  must(out.flush().good(), "there is no room for a file");
  return file;
}

}  // namespace tarflow::fuzz
