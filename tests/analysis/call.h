// The program analyze, called in the test.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "analysis/command.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis::testing {

struct Outcome {
  int status;
  std::string out, err;
};

inline Outcome call(std::vector<std::string> arguments) {
  std::vector<const char*> argv = {"analyze"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out, err;
  const int status = analyze(static_cast<int>(argv.size()), argv.data(), out, err, false);
  return {status, out.str(), err.str()};
}

}  // namespace tarflow::analysis::testing
