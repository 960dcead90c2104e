// What the files that a sweep names say of themselves, asked once and remembered by their content.
#pragma once

#include <filesystem>
#include <string>

#include "framework/sweep/sweep.h"

namespace tarflow::job {

// Statistics are read and images listed here; an extractor is asked by `worker --probe-extractor`.
// Answers are kept in `cache_folder`. What cannot be told is left out: the job itself will say.
sweep::FileFacts file_facts(const std::filesystem::path& worker,
                            const std::filesystem::path& cache_folder);

// Whether `file` holds what a job's result says that the job made: statistics with the same means,
// or a model with the same SHA-256. Any file will do for a result of neither. Hashes of files are
// kept in `cache_folder`.
bool holds_what_was_made(const std::filesystem::path& file, const std::filesystem::path& result,
                         const std::string& job, const std::filesystem::path& cache_folder);

// Copies a model that a job made from the job's folder to `file`, where nothing has this name: a
// training takes too long to be run again for a file that was removed. False where there is none.
bool put_model_back(const std::filesystem::path& file, const std::filesystem::path& result,
                    const std::string& job, const std::filesystem::path& cache_folder);

}  // namespace tarflow::job
