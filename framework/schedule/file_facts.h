// What the files that a sweep names say of themselves, asked once and remembered by their content.
#pragma once

#include <filesystem>
#include <string>

#include "framework/sweep/sweep.h"

namespace tarflow::schedule {

// Statistics are read and images listed here; an extractor is asked by `worker --probe-extractor`.
// Answers are kept in `cache_folder`. What cannot be told is left out: the job itself will say.
sweep::FileFacts file_facts(const std::filesystem::path& worker,
                            const std::filesystem::path& cache_folder);

// Whether `file` holds the statistics that are in a job's result: the same means. Any file will do
// for a result without statistics.
bool holds_statistics_of(const std::filesystem::path& file, const std::filesystem::path& result,
                         const std::string& job);

}  // namespace tarflow::schedule
