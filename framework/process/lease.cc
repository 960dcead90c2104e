#include "framework/process/lease.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/process/command.h"
#include "framework/process/host.h"

namespace tarflow::process {
namespace fs = std::filesystem;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(LeaseHolder, host, machine_id, boot_id,
                                                pid_namespace, nonce, pid, started_ticks, beat,
                                                since, command)

namespace {

// A command that the holder waits for ends before another would take its lease.
static_assert(kCommandLimit < kLeasePatience);
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

[[noreturn]] void refuse(const fs::path& folder, const LeaseHolder& holder) {
  throw LeaseHeld(
      fmt::format("another run_sweep is running in {}: {} ({})", folder.string(), holder.str(),
                  holder.command),
      "wait for it, end it with run_sweep cancel FILE, or choose another folder with --results; "
      "run_sweep status FILE and run_sweep watch FILE show its progress");
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
    auto holder = Json::parse(text).get<LeaseHolder>();
    if (!holder.nonce.empty()) return {State::kHeld, std::move(holder), ""};
  } catch (const std::exception&) {
    // No text of a lease.
  }
  return {State::kDamaged, {}, ""};
}

bool same_beat(const LeaseHolder& one, const LeaseHolder& other) {
  return one.nonce == other.nonce && one.beat == other.beat;
}

// Waits until the holder gives a sign of life, or the patience is over without one.
bool silent(const fs::path& folder, const LeaseHolder& holder, const LeasePace& pace) {
  const auto end = pace.now() + pace.patience;
  while (pace.now() < end) {
    pace.sleep(pace.look);
    const Found now = find_holder(folder / "lease.json");
    if (now.state == Found::State::kAbsent) return true;  // it has ended
    if (now.state != Found::State::kHeld) continue;
    if (!same_beat(now.holder, holder)) return false;
  }
  return true;
}

// Nobody knows whose an unreadable lease is. Waits until it can be read, or throws.
void wait_for_readable(const fs::path& file, const LeasePace& pace,
                       const LeaseFile::Notice& notice) {
  const auto end = pace.now() + pace.patience;
  for (bool first = true;; first = false) {
    const Found found = find_holder(file);
    if (found.state != Found::State::kUnreadable) return;
    if (pace.now() >= end) {
      throw Error(found.reason + ", so it is not known whether another run_sweep is running",
                  "make it readable, or remove it if none is; finished jobs are kept");
    }
    if (first) {
      notice(fmt::format("{}; it is read again for {} s at most", found.reason,
                         pace.patience.count() / 1000));
    }
    pace.sleep(pace.look);
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
  write_file(aside, canonical(holder) + "\n");
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
  write_file(file, canonical(holder) + "\n");
  return Made::kYes;
}

fs::path claim_to(const fs::path& file, const std::string& nonce) {
  return file.parent_path() / (".claim." + (nonce.empty() ? "damaged" : nonce.substr(0, 24)));
}

// Removes the file of a dead holder (without a nonce: a damaged file). Several processes may want
// to at once, and one of them may have put its own in that place: so only who holds the claim to
// this nonce looks again and removes. Claims of the dead are removed in the same way. A holder that
// was suspended renews its lease under the same claim, so that one that beats is not removed.
void remove_dead(const fs::path& file, const LeaseHolder& dead, const LeaseHolder& self) {
  const fs::path claim = claim_to(file, dead.nonce);
  if (make_exclusively(claim, self) == Made::kExists) {
    const std::optional<LeaseHolder> other = read_holder(claim);
    if (other && life_of(*other) == Life::kDead) {
      remove_dead(claim, *other, self);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return;  // the caller looks again
  }
  const Found now = find_holder(file);
  std::error_code ignored;
  const bool same = now.state == Found::State::kHeld && same_beat(now.holder, dead);
  const bool damaged = now.state == Found::State::kDamaged && dead.nonce.empty();
  if (same || damaged) fs::remove(file, ignored);
  fs::remove(claim, ignored);
}

}  // namespace

std::string LeaseHolder::str() const {
  return fmt::format("process {} on {}, since {}", pid, host, since);
}

LeaseHolder this_holder(std::string command) {
  return {host_name(),
          machine_id(),
          boot_id(),
          pid_namespace(),
          random_nonce(),
          ::getpid(),
          start_ticks(::getpid()),
          0,
          utc_now(),
          std::move(command)};
}

Life life_of(const LeaseHolder& holder, const LeaseHolder& here) {
  if (holder.boot_id.empty() || holder.boot_id != here.boot_id) {
    const bool same_machine = holder.host == here.host && !holder.machine_id.empty() &&
                              holder.machine_id == here.machine_id && !here.boot_id.empty();
    return same_machine && !holder.boot_id.empty() ? Life::kDead : Life::kUnknown;
  }
  if (holder.pid_namespace != here.pid_namespace) return Life::kUnknown;
  if (holder.started_ticks == 0) return Life::kUnknown;  // not stated
  return start_ticks(holder.pid) == holder.started_ticks ? Life::kAlive : Life::kDead;
}

std::optional<LeaseHolder> read_lease(const fs::path& folder) {
  return read_holder(folder / "lease.json");
}

SilenceWatch::SilenceWatch(fs::path folder, LeaseHolder holder, LeasePace pace)
    : folder_(std::move(folder)),
      holder_(std::move(holder)),
      pace_(std::move(pace)),
      since_(pace_.now()) {}

bool SilenceWatch::silent() {
  const std::optional<LeaseHolder> now = read_lease(folder_);
  if (now && now->nonce == holder_.nonce && now->beat != holder_.beat) {
    holder_ = *now;
    since_ = pace_.now();
  }
  return life_of(holder_) != Life::kAlive && pace_.now() - since_ >= pace_.patience;
}

LeaseFile::LeaseFile(fs::path folder, std::string command, const Notice& notice, LeasePace pace,
                     const std::optional<LeaseHolder>& known_silent)
    : folder_(std::move(folder)), pace_(std::move(pace)), self_(this_holder(std::move(command))) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed) {
    throw Error(fmt::format("cannot make the folder {}: {}", folder_.string(), failed.message()),
                "choose another folder with --results");
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (try_take()) {
      last_beat_ = last_try_ = pace_.now();
      return;
    }
    wait_for_readable(file(), pace_, notice);
    const std::optional<LeaseHolder> holder = read_lease(folder_);
    if (!holder) {
      remove_dead(file(), {}, self_);  // damaged, or just given back
      continue;
    }
    const Life life = life_of(*holder);
    if (life == Life::kAlive) refuse(folder_, *holder);
    const bool known = known_silent && same_beat(*holder, *known_silent);
    if (life == Life::kUnknown && !known) {
      notice(fmt::format("{} has been taken by {}; looking whether it is alive, {} s at most",
                         folder_.string(), holder->str(), pace_.patience.count() / 1000));
      if (!silent(folder_, *holder, pace_)) refuse(folder_, *holder);
    }
    remove_dead(file(), *holder, self_);
  }
  throw LeaseHeld(fmt::format("{} is taken and given back all the time", folder_.string()),
                  "end the other run_sweep processes that use it");
}

bool LeaseFile::try_take() const {
  try {
    return make_exclusively(file(), self_) == Made::kYes;
  } catch (const Error& failure) {
    throw Error(failure.problems().front().what,
                "make room or see who may write there, or choose another folder with --results; "
                "finished jobs are kept");
  }
}

LeaseFile::~LeaseFile() {
  const std::optional<LeaseHolder> holder = read_lease(folder_);
  std::error_code ignored;
  if (holder && holder->nonce == self_.nonce) fs::remove(file(), ignored);
}

void LeaseFile::beat() {
  const auto now = pace_.now();
  const auto age = now - last_beat_.load();
  const bool failed = last_try_ > last_beat_.load(), gap = age >= pace_.patience;
  if (!gap && now - last_try_ < (failed ? pace_.again : pace_.beat)) return;
  last_try_ = now;
  try {
    gap ? renew_after_gap() : renew();
    last_beat_ = now;
  } catch (const LeaseHeld&) {
    throw;
  } catch (const Error& failure) {
    if (!gap) return;
    throw Error(
        fmt::format("{} could not be renewed for {} s: {}", file().string(),
                    std::chrono::duration_cast<std::chrono::seconds>(age).count(),
                    failure.problems().front().what),
        "run the same command again when the folder can be written; finished jobs are kept");
  }
}

// Who looked on meanwhile may be about to take the lease: see remove_dead. A lease that is gone now
// is not being renamed, since nobody renews it.
void LeaseFile::renew_after_gap() {
  const fs::path claim = claim_to(file(), self_.nonce);
  if (make_exclusively(claim, self_) == Made::kExists) {
    const std::optional<LeaseHolder> other = read_holder(claim);
    throw LeaseHeld(fmt::format("{} is being taken by {}, since this run_sweep was silent for {} s",
                                folder_.string(), other ? other->str() : "another run_sweep",
                                pace_.patience.count() / 1000),
                    "finished jobs are kept; `run_sweep status` shows who is at work");
  }
  std::error_code ignored;
  missing_ = true;
  try {
    renew();
  } catch (...) {
    fs::remove(claim, ignored);
    throw;
  }
  fs::remove(claim, ignored);
}

void LeaseFile::renew() {
  const Found found = find_holder(file());
  if (found.state == Found::State::kUnreadable) throw Error(found.reason);
  const bool gone = found.state == Found::State::kAbsent;
  // On some network file systems a file that is renamed into place is absent for a moment.
  if (gone && !std::exchange(missing_, true)) throw Error("it is gone");
  if (gone || (found.state == Found::State::kHeld && found.holder.nonce != self_.nonce)) {
    throw LeaseHeld(
        fmt::format("{} is no longer held by this run_sweep: {}", folder_.string(),
                    gone ? "its lease.json was removed, as by another run_sweep that has ended"
                         : "it was taken by " + found.holder.str()),
        "finished jobs are kept; `run_sweep status` shows who is at work. Run the same command "
        "again when nobody is");
  }
  missing_ = false;
  LeaseHolder next = self_;
  ++next.beat;
  write_file(file(), canonical(next) + "\n");
  self_ = next;
}

Lease::Lease(fs::path folder, std::string command, const LeaseFile::Notice& notice,
             const LeasePace& pace, const std::optional<LeaseHolder>& silent)
    : file_(std::move(folder), std::move(command), notice, pace, silent),
      tick_(std::min(pace.beat, pace.again) / 2) {
  // Signals are for the thread that waits for them (HeldSignals).
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::jthread([this](const std::stop_token& stop) { keep(stop); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Lease::keep(const std::stop_token& stop) {
  try {
    for (;;) {
      beat();
      std::unique_lock lock(mutex_);
      if (lost_) return;
      wake_.wait_for(lock, stop, tick_, [] { return false; });
      if (stop.stop_requested()) return;
    }
  } catch (...) {
    // check() tells.
  }
}

void Lease::beat() const {
  const std::lock_guard one(beats_);
  try {
    file_.beat();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    lost_ = std::current_exception();
    throw;
  }
}

void Lease::check() const {
  {
    const std::lock_guard lock(mutex_);
    if (lost_) std::rethrow_exception(lost_);
  }
  if (file_.overdue()) beat();
}

}  // namespace tarflow::process
