#include "framework/core/hash_files.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"

namespace tarflow {

std::vector<std::string> sha256_files(std::span<const std::string> paths) {
  std::vector<std::string> hashes(paths.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < paths.size(); i = next++) {
      try {
        hashes[i] = sha256_file(paths[i]);
      } catch (const Error&) {  // stays empty
      }
    }
  };
  std::vector<std::jthread> threads;
  const auto cores = static_cast<size_t>(usable_cores());
  for (size_t i = 1; i < std::min(cores, paths.size()); ++i) threads.emplace_back(work);
  work();
  threads.clear();
  return hashes;
}

}  // namespace tarflow
