// The command line of analyze.
#pragma once

#include <ostream>

namespace tarflow::analysis {

// Runs `analyze` as called with these arguments; the exit status: 0, or 1 when anything that was
// named could not be read, shown or written; of `analyze compare`: 1 when the files differ, 2 when
// one could not be read. `terminal`: `out` shows bold by terminal escapes.
int analyze(int argc, const char* const* argv, std::ostream& out, std::ostream& err, bool terminal);

}  // namespace tarflow::analysis
