// Short commands of other programs, found through PATH: what they print and how they end.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace tarflow::schedule {

struct Said {
  int status = 0;  // 127: there is no such program; 128 + n: signal n ended it; 124: too slow
  std::string out, err;

  bool well() const { return status == 0; }
  std::string complaint() const;  // what it printed as errors, on one line, or its status
};

// Its input is empty, and Ctrl-C does not reach it: half a submission helps nobody. It is killed
// when it takes longer than `limit`. Throws Error when no process can be made.
Said run_command(const std::vector<std::string>& command,
                 std::chrono::milliseconds limit = std::chrono::seconds(120));

}  // namespace tarflow::schedule
