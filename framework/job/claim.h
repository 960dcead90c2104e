// Who may write in a job's folder. The newest claim holds: a task that Slurm gave up, a second
// array or a node that lives on finds its own replaced, and writes nothing beside its successor.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tarflow::job {

// The variable that tells a worker its claim.
inline constexpr const char* kClaimVariable = "TARFLOW_CLAIM";

// Makes claim.json anew, whoever held it; `place`: see Attempt. Returns the claim. Throws Error.
std::string take_claim(const std::filesystem::path& job_folder, const std::string& place);

// Who holds the folder, where that is certainly another: "process 12 on n2 (task 7_0), since ...".
// Nothing for a claim of "", and while claim.json is absent or cannot be read.
std::optional<std::string> other_claimant(const std::filesystem::path& job_folder,
                                          const std::string& claim);

// For workers: throws Error when the claim that this process was started with was replaced.
void require_claim(const std::filesystem::path& job_folder);

}  // namespace tarflow::job
