#include "framework/job/execute.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/job/claim.h"
#include "framework/process/host.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLogLines = 15;
constexpr std::chrono::milliseconds kStopPoll{20};
constexpr std::chrono::seconds kLook{5};  // at the claim, in a folder that may be a shared one
constexpr uintmax_t kLogTail = 64 << 10;  // bytes that surely hold the last lines worth showing

}  // namespace

std::vector<std::string> last_lines(const fs::path& file, uintmax_t offset, size_t count) {
  std::error_code failed;
  const uintmax_t size = fs::file_size(file, failed);
  if (failed) return {};
  const uintmax_t tail = size > kLogTail ? size - kLogTail : 0;
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(std::max(offset, tail)));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (lines.size() > count)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

Attempting::Attempting(const Job& job, JobFolder folder, const Launch& launch)
    : job_(&job),
      folder_(std::move(folder)),
      stop_signal_(launch.stop_signal),
      explain_(launch.explain) {
  claim_ = prepare_folder(job, folder_, launch.place);
  attempt_.number = read_attempts(folder_.attempts()).count + 1;
  attempt_.start = process::utc_now();
  attempt_.host = process::host_name();
  attempt_.place = launch.place;
  append_line(folder_.log(), fmt::format("=== attempt {} of {} on {} ===", attempt_.number,
                                         attempt_.start, attempt_.host));
  std::error_code ignored;
  log_begin_ = fs::file_size(folder_.log(), ignored);
  std::vector<std::string> command = launch.before;
  command.insert(command.end(), {launch.worker.string(), folder_.path.string()});
  command.insert(command.end(), launch.arguments.begin(), launch.arguments.end());
  start_ = looked_ = std::chrono::steady_clock::now();
  std::map<std::string, std::string> variables = launch.variables;
  variables[kClaimVariable] = claim_;
  pid_ = process::start_worker(command, variables, folder_.log());
  attempt_.pid = pid_;
  try {
    append_start(folder_.attempts(), attempt_);
  } catch (const Error&) {  // nobody would look after it
    process::signal_group(pid_, SIGKILL);
    int status = 0;
    process::wait_for_child(pid_, status, 0);
    throw;
  }
}

double Attempting::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

WorkerProgress Attempting::progress() const { return read_progress(folder_.progress()); }

void Attempting::stop(const std::string& why, bool failed, std::chrono::milliseconds grace) {
  if (stopping()) return;
  stop_reason_ = why;
  stop_is_failure_ = failed;
  kill_at_ = std::chrono::steady_clock::now() + grace;
  process::signal_group(pid_, stop_signal_);
}

void Attempting::kill() {
  if (!stopping()) stop_reason_ = "it was killed on request";
  process::signal_group(pid_, SIGKILL);
}

std::optional<Outcome> Attempting::poll() {
  if (const std::optional<process::Exit> exit = process::poll_exit(pid_)) return finish(*exit);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ >= kLook && claimant_.empty() && was_taken_over()) {
    process::signal_group(pid_, SIGKILL);  // it may keep nothing any more
  }
  if (stopping() && now > kill_at_) process::signal_group(pid_, SIGKILL);
  return std::nullopt;
}

bool Attempting::was_taken_over() {
  looked_ = std::chrono::steady_clock::now();
  claimant_ = other_claimant(folder_.path, claim_).value_or("");
  return !claimant_.empty();
}

// A whole result means that the work is done, even if the worker stumbled on its way out.
Outcome Attempting::finish(const process::Exit& exit) {
  Outcome outcome;
  outcome.seconds = attempt_.seconds = seconds();
  outcome.log = folder_.log();
  outcome.exit = exit;
  if (was_taken_over()) {
    outcome.taken_over = true;
    outcome.reason = fmt::format("its folder was taken over by {}", claimant_);
    return outcome;
  }
  Result::State found{};
  const std::optional<std::string> fault = settle_result(folder_, *job_, &found);
  outcome.other_device = found == Result::State::kOtherDevice;
  if (!fault) {
    outcome.kind = Outcome::Kind::kDone;
  } else if (stopping()) {
    outcome.kind = stop_is_failure_ ? Outcome::Kind::kFailed : Outcome::Kind::kStopped;
    outcome.reason = stop_reason_;
  } else if (exit.code == kStoppedExit) {
    outcome.reason = "the worker was told to stop by somebody else";
  } else if (exit.code != 0) {
    outcome.reason = "the worker " + describe(exit);
    if (const std::string more = explain_(exit); !more.empty()) outcome.reason += "; " + more;
  } else {
    outcome.reason = fault->empty() ? "the worker ended without a result" : *fault;
  }
  attempt_.end = process::utc_now();
  attempt_.outcome = outcome.kind == Outcome::Kind::kDone      ? "done"
                     : outcome.kind == Outcome::Kind::kStopped ? "stopped"
                     : stop_is_failure_                        ? "time limit"
                                                               : "failed";
  attempt_.reason = outcome.reason;
  if (outcome.kind != Outcome::Kind::kDone) {
    outcome.log_end = last_lines(folder_.log(), log_begin_, kLogLines);
  }
  if (is_absent(folder_.path)) {
    outcome.reason += fmt::format("; its folder {} was removed", folder_.path.string());
    return outcome;
  }
  try {
    append_end(folder_.attempts(), attempt_, exit.code, exit.signal);
  } catch (const Error& failure) {  // how the job ended is known all the same
    outcome.reason += (outcome.reason.empty() ? "" : "; ") + failure.problems().front().what;
  }
  return outcome;
}

Outcome wait_for_end(Attempting& attempting, std::chrono::milliseconds grace,
                     const std::function<void()>& meanwhile) {
  std::optional<Outcome> outcome;
  while (!(outcome = attempting.poll())) {
    try {
      meanwhile();
    } catch (const std::exception& failure) {
      attempting.stop(fmt::format("whoever started it cannot go on: {}", failure.what()),
                      /*failed=*/false, grace);
      while (!attempting.poll()) std::this_thread::sleep_for(kStopPoll);
      throw;
    }
  }
  return *outcome;
}

}  // namespace tarflow::job
