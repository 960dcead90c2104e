// Who is at work in a sweep's folder: a file that says so, renewed while that holds. It relies on
// no file locks, which shared file systems may lack, and on no wall clock, which may jump.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/json.h"
#include "framework/process/boot_clock.h"

namespace tarflow::process {

// Somebody else is at work in the folder: nothing is wrong with the input.
class LeaseHeld : public Error {
 public:
  using Error::Error;
};

struct LeaseHolder {
  std::string host, machine_id, boot_id, pid_namespace, nonce;
  int64_t pid = 0;
  int64_t started_ticks = 0;  // of the process, since boot: a pid may be used again
  int64_t beat = 0;           // grows while the holder lives
  std::string since, command;

  std::string str() const;  // "process 1234 on node7, since 2026-01-02T03:04:05Z"
};
// This process, with a nonce like no other.
LeaseHolder this_holder(std::string command);

enum class Life { kAlive, kDead, kUnknown };

// Dead or alive where it can be told at once: by the process where `here` runs under the same
// kernel, and by the start of the machine where it is the same machine. A name alone tells nothing,
// since two machines may share one.
Life life_of(const LeaseHolder& holder, const LeaseHolder& here = this_holder(""));

// Who holds the folder, as the file says; nothing without a readable one.
std::optional<LeaseHolder> read_lease(const std::filesystem::path& folder);

// So long a holder may be silent before another takes its place; it gives up itself by then.
inline constexpr std::chrono::seconds kLeasePatience{90};

// The rhythm of a lease, and the clock it goes by.
struct LeasePace {
  using Clock = BootClock;  // others take the lease while this machine sleeps
  std::chrono::milliseconds patience = kLeasePatience;
  std::chrono::milliseconds beat = std::chrono::seconds(15);        // kind to shared file systems
  std::chrono::milliseconds again = std::chrono::seconds(2);        // after a beat that failed
  std::chrono::milliseconds look = std::chrono::milliseconds(500);  // at another's lease
  std::function<Clock::time_point()> now = Clock::now;
  std::function<void(std::chrono::milliseconds)> sleep = [](std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
  };
};

// Watches a holder of which nobody here can tell whether it lives: one on another host.
class SilenceWatch {
 public:
  SilenceWatch(std::filesystem::path folder, LeaseHolder holder, LeasePace pace = {});

  // Looks at its lease. Whether it has not beaten for the patience since this watch began. False of
  // a process that is known to live, which may be suspended.
  bool silent();
  const LeaseHolder& holder() const { return holder_; }  // at its last beat that was seen

 private:
  std::filesystem::path folder_;
  LeaseHolder holder_;
  LeasePace pace_;
  LeasePace::Clock::time_point since_;
};

// The file of a lease, without a thread.
class LeaseFile {
 public:
  using Notice = std::function<void(const std::string&)>;

  // Takes the folder, making it if need be. A holder that is dead, or of which that cannot be told
  // and that is silent for the patience, is replaced; `notice` is called before waiting to find
  // out. A lease that cannot be read now is somebody's; it is read again within the patience.
  // Throws LeaseHeld that names a living holder, Error when the folder cannot be written.
  // `silent`: a holder that a SilenceWatch found silent; it is not waited for again.
  LeaseFile(std::filesystem::path folder, std::string command, const Notice& notice,
            LeasePace pace = {}, const std::optional<LeaseHolder>& silent = {});
  ~LeaseFile();
  LeaseFile(const LeaseFile&) = delete;
  LeaseFile& operator=(const LeaseFile&) = delete;

  // To be called often; writes when the last beat is old. Reading and writing may fail for some
  // time (a full disk, a file server that restarts). Throws LeaseHeld when the lease was lost to
  // another or deleted, Error when it could not be renewed for so long that another may take it.
  void beat();
  // Whether the last beat is so old that another may have taken the lease: this process or its
  // machine was suspended, say. The next beat tells. May be called while another thread beats.
  bool overdue() const { return pace_.now() - last_beat_.load() >= pace_.patience; }

 private:
  void renew();
  void renew_after_gap();
  std::filesystem::path file() const { return folder_ / "lease.json"; }
  bool try_take() const;

  std::filesystem::path folder_;
  LeasePace pace_;
  LeaseHolder self_;
  std::atomic<LeasePace::Clock::time_point> last_beat_;
  LeasePace::Clock::time_point last_try_;
  bool missing_ = false;  // at the last look the file was gone
};

// A lease that a thread of its own renews, whatever its holder is busy with.
class Lease {
 public:
  // As LeaseFile.
  Lease(std::filesystem::path folder, std::string command, const LeaseFile::Notice& notice,
        const LeasePace& pace = {}, const std::optional<LeaseHolder>& silent = {});

  // Throws Error when the lease was lost: see LeaseFile::beat. To be called often and before
  // anything is written, since its holder has to end then. After a gap in the beats (Ctrl-Z, a
  // laptop that slept) it reads the lease again before it returns.
  void check() const;

 private:
  void keep(const std::stop_token& stop);
  void beat() const;

  mutable LeaseFile file_;
  std::chrono::milliseconds tick_;
  mutable std::mutex beats_;  // one thread beats
  mutable std::mutex mutex_;  // of lost_
  std::condition_variable_any wake_;
  mutable std::exception_ptr lost_;
  std::jthread thread_;  // last: it ends before what it uses
};

}  // namespace tarflow::process
