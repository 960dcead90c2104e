#include "framework/process/lease.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/json_keys.h"
#include "framework/process/host.h"

namespace tarflow::process {
namespace fs = std::filesystem;
namespace {

// Often enough for `patience`, and kind to shared file systems.
constexpr std::chrono::seconds kBeat{15};
constexpr std::chrono::milliseconds kLook{500};
// After a beat that failed; and how long they may fail: others wait so long before they take over.
constexpr std::chrono::seconds kBeatAgain{2};
constexpr std::chrono::seconds kBeatPatience{90};
constexpr int kAttempts = 100;  // to take what others take and give back

// Field 22 of /proc/PID/stat: when the process started, in ticks since boot; 0 when there is none,
// or one that has ended and that nobody has asked how.
int64_t start_ticks(int64_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text{std::istreambuf_iterator<char>(stat), {}};
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state, field;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  for (int i = 4; i <= 22; ++i) fields >> field;
  return fields ? std::strtoll(field.c_str(), nullptr, 10) : 0;
}

std::string random_nonce() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}", device(), device(), device());
}

Json to_json(const LeaseHolder& holder) {
  return {{"host", holder.host},
          {"boot_id", holder.boot_id},
          {"nonce", holder.nonce},
          {"pid", holder.pid},
          {"pid_namespace", holder.pid_namespace},
          {"beat", holder.beat},
          {"started_ticks", holder.started_ticks},
          {"since", holder.since},
          {"command", holder.command}};
}

LeaseHolder holder_from_json(const Json& json) {
  LeaseHolder holder;
  holder.host = required_value<std::string>(json, "host");
  holder.boot_id = required_value<std::string>(json, "boot_id");
  holder.pid_namespace = value_or(json, "pid_namespace", std::string());
  holder.nonce = required_value<std::string>(json, "nonce");
  holder.pid = required_value<int64_t>(json, "pid");
  holder.beat = value_or(json, "beat", int64_t{0});
  holder.started_ticks = value_or(json, "started_ticks", int64_t{0});
  holder.since = value_or(json, "since", std::string());
  holder.command = value_or(json, "command", std::string());
  return holder;
}

[[noreturn]] void refuse(const fs::path& folder, const LeaseHolder& holder) {
  throw LeaseHeld(
      fmt::format("another run_sweep is running in {}: {} ({})", folder.string(), holder.str(),
                  holder.command),
      "wait for it, end it with --cancel, or choose another folder with --results; --status "
      "and --watch show how far it is");
}

// What a lease's file says.
struct Found {
  enum class State { kAbsent, kHeld, kDamaged, kUnreadable };
  State state = State::kAbsent;
  LeaseHolder holder;  // kHeld
  std::string reason;  // kUnreadable
};

Found find_holder(const fs::path& file) {
  using State = Found::State;
  if (is_absent(file)) return {};
  std::string text;
  try {
    text = read_file(file);
  } catch (const Error& failure) {
    if (is_absent(file)) return {};
    return {State::kUnreadable, {}, failure.problems().front().what};
  }
  try {
    return {State::kHeld, holder_from_json(Json::parse(text)), ""};
  } catch (const std::exception&) {
    return {State::kDamaged, {}, ""};
  }
}

// Waits until the holder gives a sign of life, or `patience` is over without one.
bool silent(const fs::path& folder, const LeaseHolder& holder, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kLook);
    const Found now = find_holder(folder / "lease.json");
    if (now.state == Found::State::kAbsent) return true;  // it has ended
    if (now.state != Found::State::kHeld) continue;
    if (now.holder.nonce != holder.nonce || now.holder.beat != holder.beat) return false;
  }
  return true;
}

// Nobody knows whose an unreadable lease is. Waits until it can be read, or throws.
void wait_for_readable(const fs::path& file, std::chrono::milliseconds patience,
                       const std::function<void(const std::string&)>& notice) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (bool first = true;; first = false) {
    const Found found = find_holder(file);
    if (found.state != Found::State::kUnreadable) return;
    if (std::chrono::steady_clock::now() >= end) {
      throw Error(found.reason + ", so it is not known whether another run_sweep is running",
                  "make it readable, or remove it if none is; finished jobs are kept");
    }
    if (first) {
      notice(fmt::format("{}; it is read again for {} s at most", found.reason,
                         patience.count() / 1000));
    }
    std::this_thread::sleep_for(kLook);
  }
}

std::optional<LeaseHolder> read_holder(const fs::path& file) {
  Found found = find_holder(file);
  if (found.state != Found::State::kHeld) return std::nullopt;
  return std::move(found.holder);
}

enum class Made { kYes, kExists };

// Makes `file` with this holder in it, unless there is one: a link either appears with its whole
// content or fails.
Made make_exclusively(const fs::path& file, const LeaseHolder& holder) {
  const fs::path aside = file.parent_path() / (".aside." + holder.nonce);
  write_file(aside, canonical(to_json(holder)) + "\n");
  const bool made = ::link(aside.c_str(), file.c_str()) == 0;
  const int reason = errno;
  std::error_code ignored;
  fs::remove(aside, ignored);
  if (made) return Made::kYes;
  if (reason == EEXIST) return Made::kExists;
  if (reason != EPERM && reason != ENOTSUP) {
    throw Error(fmt::format("cannot write {}: {}", file.string(), std::strerror(reason)));
  }
  if (!is_absent(file)) return Made::kExists;  // a file system without hard links
  write_file(file, canonical(to_json(holder)) + "\n");
  return Made::kYes;
}

// Removes the file of a dead holder (`nonce`, "" for a damaged file). Several processes may want to
// at once, and one of them may have put its own in that place: so only who holds the claim to this
// nonce looks again and removes. Claims of the dead are removed in the same way.
void remove_dead(const fs::path& file, const std::string& nonce, const LeaseHolder& self) {
  const fs::path claim =
      file.parent_path() / (".claim." + (nonce.empty() ? "damaged" : nonce.substr(0, 24)));
  if (make_exclusively(claim, self) == Made::kExists) {
    const std::optional<LeaseHolder> other = read_holder(claim);
    if (other && life_of(*other) == Life::kDead) {
      remove_dead(claim, other->nonce, self);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return;  // the caller looks again
  }
  const Found now = find_holder(file);
  std::error_code ignored;
  const bool same = now.state == Found::State::kHeld && now.holder.nonce == nonce;
  if (same || (now.state == Found::State::kDamaged && nonce.empty())) fs::remove(file, ignored);
  fs::remove(claim, ignored);
}

}  // namespace

std::string LeaseHolder::str() const {
  return fmt::format("process {} on {}, since {}", pid, host, since);
}

Life life_of(const LeaseHolder& holder) {
  if (holder.host != host_name()) return Life::kUnknown;
  if (holder.boot_id != boot_id()) return Life::kDead;
  if (holder.pid_namespace != pid_namespace()) return Life::kUnknown;
  if (holder.started_ticks == 0) return Life::kUnknown;  // not stated
  return start_ticks(holder.pid) == holder.started_ticks ? Life::kAlive : Life::kDead;
}

std::optional<LeaseHolder> read_lease(const fs::path& folder) {
  return read_holder(folder / "lease.json");
}

Lease::Lease(fs::path folder, std::string command,
             const std::function<void(const std::string&)>& notice,
             std::chrono::milliseconds patience)
    : folder_(std::move(folder)) {
  self_ = {host_name(),
           boot_id(),
           pid_namespace(),
           random_nonce(),
           ::getpid(),
           start_ticks(::getpid()),
           0,
           utc_now(),
           std::move(command)};
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed) {
    throw Error(fmt::format("cannot make the folder {}: {}", folder_.string(), failed.message()),
                "choose another folder with --results");
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (try_take()) {
      last_beat_ = last_try_ = std::chrono::steady_clock::now();
      return;
    }
    wait_for_readable(file(), patience, notice);
    const std::optional<LeaseHolder> holder = read_lease(folder_);
    if (!holder) {
      remove_dead(file(), "", self_);  // damaged, or just given back
      continue;
    }
    const Life life = life_of(*holder);
    if (life == Life::kAlive) refuse(folder_, *holder);
    if (life == Life::kUnknown) {
      notice(fmt::format("{} has been taken by {}; looking whether it is alive, {} s at most",
                         folder_.string(), holder->str(), patience.count() / 1000));
      if (!silent(folder_, *holder, patience)) refuse(folder_, *holder);
    }
    remove_dead(file(), holder->nonce, self_);
  }
  throw LeaseHeld(fmt::format("{} is taken and given back all the time", folder_.string()),
                  "end the other run_sweep processes that use it");
}

bool Lease::try_take() const {
  try {
    return make_exclusively(file(), self_) == Made::kYes;
  } catch (const Error& failure) {
    throw Error(failure.problems().front().what,
                "make room or see who may write there, or choose another folder with --results; "
                "finished jobs are kept");
  }
}

Lease::~Lease() {
  const std::optional<LeaseHolder> holder = read_lease(folder_);
  std::error_code ignored;
  if (holder && holder->nonce == self_.nonce) fs::remove(file(), ignored);
}

void Lease::beat(std::chrono::steady_clock::time_point now) {
  const bool failed = last_try_ > last_beat_;
  if (now - last_try_ < (failed ? kBeatAgain : kBeat)) return;
  last_try_ = now;
  try {
    renew(now);
  } catch (const LeaseHeld&) {
    throw;
  } catch (const Error& failure) {
    if (now - last_beat_ < kBeatPatience) return;
    throw Error(
        fmt::format("{} could not be renewed for {} s: {}", file().string(),
                    std::chrono::duration_cast<std::chrono::seconds>(now - last_beat_).count(),
                    failure.problems().front().what),
        "run the same command again when the folder can be written; finished jobs are kept");
  }
}

void Lease::renew(std::chrono::steady_clock::time_point now) {
  const Found found = find_holder(file());
  if (found.state == Found::State::kUnreadable) throw Error(found.reason);
  const bool gone = found.state == Found::State::kAbsent;
  // On some network file systems a file that is renamed into place is absent for a moment.
  if (gone && !std::exchange(missing_, true)) throw Error("it is gone");
  if (gone || (found.state == Found::State::kHeld && found.holder.nonce != self_.nonce)) {
    throw LeaseHeld(
        fmt::format("{} is no longer held by this run_sweep: {}", folder_.string(),
                    gone ? "its lease.json was removed" : "it was taken by " + found.holder.str()),
        "run the same command again; finished jobs are kept");
  }
  missing_ = false;
  LeaseHolder next = self_;
  ++next.beat;
  write_file(file(), canonical(to_json(next)) + "\n");
  self_ = next;
  last_beat_ = now;
}

}  // namespace tarflow::process
