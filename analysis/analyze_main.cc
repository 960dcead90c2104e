#include <unistd.h>

#include <iostream>

#include "analysis/command.h"

int main(int argc, char** argv) {
  return tarflow::analysis::analyze(argc, argv, std::cout, std::cerr, isatty(STDOUT_FILENO) == 1);
}
