// Who is at work in a sweep's folder: a file that says so, renewed while that holds. It relies on
// no file locks, which shared file systems may lack, and on no clock, which may jump.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "framework/core/error.h"
#include "framework/core/json.h"

namespace tarflow::process {

// Somebody else is at work in the folder: nothing is wrong with the input.
class LeaseHeld : public Error {
 public:
  using Error::Error;
};

struct LeaseHolder {
  std::string host, boot_id, pid_namespace, nonce;
  int64_t pid = 0;
  int64_t started_ticks = 0;  // of the process, since boot: a pid may be used again
  int64_t beat = 0;           // grows while the holder lives
  std::string since, command;

  std::string str() const;  // "process 1234 on node7, since 2026-01-02T03:04:05Z"
};

enum class Life { kAlive, kDead, kUnknown };

// Dead or alive where it can be told at once, which is on its own host.
Life life_of(const LeaseHolder& holder);

// Who holds the folder, as the file says; nothing without a readable one.
std::optional<LeaseHolder> read_lease(const std::filesystem::path& folder);

class Lease {
 public:
  // Takes the folder, making it if need be. A holder that is dead, or on another host and silent
  // for `patience`, is replaced; `notice` is called before waiting to find out. A lease that cannot
  // be read now is somebody's; it is read again within `patience`. Throws LeaseHeld that names a
  // living holder, Error when the folder cannot be written.
  Lease(std::filesystem::path folder, std::string command,
        const std::function<void(const std::string&)>& notice,
        std::chrono::milliseconds patience = std::chrono::seconds(90));
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // To be called often; writes when the last beat is old. Reading and writing may fail for some
  // time (a full disk, a file server that restarts). Throws Error when the lease is lost to
  // another, was deleted, or could not be renewed for so long that another may take it.
  void beat(std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());

 private:
  void renew(std::chrono::steady_clock::time_point now);
  std::filesystem::path file() const { return folder_ / "lease.json"; }
  bool try_take() const;

  std::filesystem::path folder_;
  LeaseHolder self_;
  std::chrono::steady_clock::time_point last_beat_, last_try_;
  bool missing_ = false;  // at the last look the file was gone
};

}  // namespace tarflow::process
