// How `run_sweep --cancel` reaches the run_sweep that is at work on a sweep: a file in its folder.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>

namespace tarflow::schedule {

std::filesystem::path cancel_file(const std::filesystem::path& sweep_folder);

// Whether somebody asked, to be called as often as one likes: the folder, which may be a shared
// one, is looked at every `poll`; in between the answer is no.
std::function<bool()> cancel_asked(const std::filesystem::path& sweep_folder,
                                   std::chrono::milliseconds poll);

}  // namespace tarflow::schedule
