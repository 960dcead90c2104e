#include "framework/schedule/lease.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/schedule/host.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

// Often enough for `patience`, and kind to shared file systems.
constexpr std::chrono::seconds kBeat{15};
constexpr std::chrono::milliseconds kLook{500};
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
  holder.host = json.at("host").get<std::string>();
  holder.boot_id = json.at("boot_id").get<std::string>();
  holder.pid_namespace = json.at("pid_namespace").get<std::string>();
  holder.nonce = json.at("nonce").get<std::string>();
  holder.pid = json.at("pid").get<int64_t>();
  holder.beat = json.at("beat").get<int64_t>();
  holder.started_ticks = json.at("started_ticks").get<int64_t>();
  holder.since = json.at("since").get<std::string>();
  holder.command = json.at("command").get<std::string>();
  return holder;
}

[[noreturn]] void refuse(const fs::path& folder, const LeaseHolder& holder) {
  throw Error(
      fmt::format("another run_sweep is at work in {}: {} ({})", folder.string(), holder.str(),
                  holder.command),
      "wait for it, end it with --cancel, or choose another folder with --results; --status "
      "and --watch show how far it is");
}

// Waits until the holder gives a sign of life, or `patience` is over without one.
bool silent(const fs::path& folder, const LeaseHolder& holder, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kLook);
    const std::optional<LeaseHolder> now = read_lease(folder);
    if (!now) return true;  // it has ended
    if (now->nonce != holder.nonce || now->beat != holder.beat) return false;
  }
  return true;
}

std::optional<LeaseHolder> read_holder(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  try {
    return holder_from_json(read_json_file(file));
  } catch (const std::exception&) {
    return std::nullopt;
  }
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
  if (fs::exists(file, ignored)) return Made::kExists;  // a file system without hard links
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
  const std::optional<LeaseHolder> now = read_holder(file);
  std::error_code ignored;
  if (now ? now->nonce == nonce : nonce.empty()) fs::remove(file, ignored);
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
      last_beat_ = std::chrono::steady_clock::now();
      return;
    }
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
  throw Error(fmt::format("{} is taken and given back all the time", folder_.string()),
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

void Lease::beat() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_beat_ < kBeat) return;
  last_beat_ = now;
  const std::optional<LeaseHolder> holder = read_lease(folder_);
  if (!holder || holder->nonce != self_.nonce) {
    throw Error(
        fmt::format("{} is no longer held by this run_sweep: {}", folder_.string(),
                    holder ? "it was taken by " + holder->str() : "its lease.json was removed"),
        "run the same command again; finished jobs are kept");
  }
  ++self_.beat;
  write_file(file(), canonical(to_json(self_)) + "\n");
}

}  // namespace tarflow::schedule
