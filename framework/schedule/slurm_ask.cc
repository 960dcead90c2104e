#include "framework/schedule/slurm_ask.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "framework/core/error.h"

namespace tarflow::schedule {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kNoProgram = 127;
constexpr int kTooSlow = 124;
constexpr std::chrono::milliseconds kBeat{300};

void wait(std::chrono::milliseconds time, const Patience& patience) {
  for (const auto end = Clock::now() + time; Clock::now() < end;) {
    patience.beat();
    std::this_thread::sleep_for(
        std::min(kBeat, std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())));
  }
}

}  // namespace

Said ask_program(const std::vector<std::string>& command) { return run_command(command); }

bool is_away(const Said& said) {
  if (said.status == kTooSlow) return true;
  static constexpr std::array<const char*, 13> kSigns{"nable to contact slurm controller",
                                                      "nable to establish c",
                                                      "ocket timed out",
                                                      "onnection refused",
                                                      "onnection reset",
                                                      "onnection timed out",
                                                      "ero Bytes were transmitted",
                                                      "emporarily unable",
                                                      "ransport endpoint is",
                                                      "o response from",
                                                      "in standby mode",
                                                      "authentication error",
                                                      "Munge"};
  return !said.well() && std::any_of(kSigns.begin(), kSigns.end(), [&](const char* sign) {
    return said.err.find(sign) != std::string::npos;
  });
}

Said ask_slurm(const std::vector<std::string>& command, const Patience& patience, const Ask& ask,
               const std::function<bool(const Said&)>& is_answer) {
  const auto begin = Clock::now();
  std::chrono::milliseconds pause = patience.pause;
  for (bool noticed = false;; noticed = true) {
    const Said said = ask(command);
    if (said.status == kNoProgram) {
      throw Error(fmt::format("there is no `{}` here", command.front()),
                  "run this on a machine from which jobs are submitted, or with --cluster none to "
                  "use this machine alone");
    }
    if (is_answer(said)) return said;
    const auto waited = Clock::now() - begin;
    if (waited + pause > patience.limit) {
      throw Error(
          fmt::format("{} got no answer from Slurm for {:.0f} s: {}", command.front(),
                      std::chrono::duration<double>(waited).count(), said.complaint()),
          "run the same command again when the cluster answers; what was submitted is found again");
    }
    if (!noticed) {
      patience.notice(fmt::format("Slurm does not answer ({}); waiting for it", said.complaint()));
    }
    wait(pause, patience);
    pause = std::min(2 * pause, std::max(patience.pause, patience.longest));
  }
}

}  // namespace tarflow::schedule
