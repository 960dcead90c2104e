#include <unistd.h>

#include <iostream>

#include "analysis/command.h"

int main(int argc, char** argv) {
  const int status =
      tarflow::analysis::analyze(argc, argv, std::cout, std::cerr, isatty(STDOUT_FILENO) == 1);
  if (std::cout.flush()) return status;
  std::cerr << "analyze: not all could be written to the standard output; is its disk full?\n";
  return status == 0 ? 1 : status;
}
