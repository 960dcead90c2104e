// What the runs of the sweep `toy` leave in its folder beside the record.
#pragma once

#include "tests/experiments/programs.h"

namespace tarflow::experiments {

class ResultFiles : public Programs {
 protected:
  // Files of the folder `cache` whose names start so.
  std::vector<fs::path> kept(const std::string& start) const {
    std::vector<fs::path> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder_ / "results/toy/cache", none)) {
      if (entry.path().filename().string().starts_with(start)) files.push_back(entry.path());
    }
    return files;
  }

  // The logs of all jobs.
  std::string logs() const {
    std::string text;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "results/toy/jobs")) {
      if (entry.path().filename() == "log.txt") text += read_file(entry.path());
    }
    return text;
  }
};

}  // namespace tarflow::experiments
