#include "framework/process/pipe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/core/error.h"

namespace tarflow::process {
namespace {

constexpr int kFirst = 3;  // after the standard ones

}  // namespace

void move_up(int& end) {
  if (end < 0 || end >= kFirst) return;
  const int higher = ::fcntl(end, F_DUPFD_CLOEXEC, kFirst);
  const int reason = errno;
  Pipe::close_end(end);
  end = higher;
  errno = reason;
}

Pipe::Pipe() {
  int ends[2] = {-1, -1};
  bool made = ::pipe2(ends, O_CLOEXEC) == 0;
  for (int& end : ends) {
    if (made) move_up(end);
    made = made && end >= 0;
  }
  if (!made) {
    const int reason = errno;
    for (int& end : ends) close_end(end);
    throw Error(fmt::format("cannot make a pipe: {}", std::strerror(reason)));
  }
  read = ends[0];
  write = ends[1];
}

Pipe::~Pipe() {
  close_end(read);
  close_end(write);
}

void Pipe::close_end(int& end) {
  if (end >= 0) ::close(end);
  end = -1;
}

}  // namespace tarflow::process
