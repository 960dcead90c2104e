// A small copy of a sweep's record, to be kept and shared: what tables are made from.
#pragma once

#include <cstdint>
#include <filesystem>

namespace tarflow::analysis {

struct CondenseOptions {
  int64_t images = 16;  // sample images kept a job, of the smallest seed; 0: none
};

// Writes to `out` the merged sweep file `in` with every row, and of the arrays: moments of all
// groups of images added up into one (so a distance can still be computed again, a jackknife only
// from the distances recorded beside them), the first sample images of the jobs of the smallest
// seed, and all others as they are. Each job's job.json says so under "condensed". Throws Error
// naming the file.
void condense(const std::filesystem::path& in, const std::filesystem::path& out,
              const CondenseOptions& options = {});

}  // namespace tarflow::analysis
