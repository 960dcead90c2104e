// How `run_sweep cancel` reaches the run_sweep that is at work on a sweep: a file in its folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tarflow::process {

std::filesystem::path cancel_file(const std::filesystem::path& sweep_folder);

// What is asked of the run_sweep that is at work.
struct CancelRequest {
  std::string id;                // of a request for some points, like no other
  std::set<std::string> points;  // their ids; empty: all that it does
  bool all() const { return points.empty(); }
};
// What it did about a request for some points.
struct CancelAnswer {
  std::string id;                   // of the request
  size_t stopped = 0;               // jobs that were running
  size_t dropped = 0;               // and that were not begun
  std::vector<std::string> shared;  // hashes of jobs that also have points that were not named
  std::string refused;              // why nothing was done; "": it was
};

// Asks. Throws Error when the folder cannot be written.
void ask_to_cancel(const std::filesystem::path& sweep_folder, const CancelRequest& request);
// The answer to the request, once there is one.
std::optional<CancelAnswer> cancel_answer(const std::filesystem::path& sweep_folder,
                                          const std::string& id);

// For who is asked. Removes the request; one that cannot be written costs its asker the answer.
void answer_cancel(const std::filesystem::path& sweep_folder, const CancelAnswer& answer);
// Removes requests and answers of earlier runs.
void forget_cancel(const std::filesystem::path& sweep_folder);

// What was asked, to be called as often as one likes: the folder, which may be a shared one, is
// looked at every `poll`; in between the answer is nothing.
std::function<std::optional<CancelRequest>()> cancel_asked(
    const std::filesystem::path& sweep_folder, std::chrono::milliseconds poll);
// For who can stop only as a whole: requests for some points are refused, with this reason.
std::function<bool()> cancel_of_all_asked(const std::filesystem::path& sweep_folder,
                                          std::chrono::milliseconds poll,
                                          const std::string& refusal);

}  // namespace tarflow::process
