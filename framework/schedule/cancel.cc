#include "framework/schedule/cancel.h"

namespace tarflow::schedule {

std::filesystem::path cancel_file(const std::filesystem::path& sweep_folder) {
  return sweep_folder / "cancel";
}

std::function<bool()> cancel_asked(const std::filesystem::path& sweep_folder,
                                   std::chrono::milliseconds poll) {
  using Clock = std::chrono::steady_clock;
  return [file = cancel_file(sweep_folder), poll, asked = Clock::now()]() mutable {
    if (Clock::now() - asked < poll) return false;
    asked = Clock::now();
    std::error_code ignored;
    return std::filesystem::exists(file, ignored);
  };
}

}  // namespace tarflow::schedule
