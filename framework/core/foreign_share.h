// When a time on a CPU counts: the worker judges by it, and reports name it.
#pragma once

namespace tarflow {

// Above this share of foreign work a timing does not count.
inline constexpr double kForeignShareLimit = 0.1;

}  // namespace tarflow
