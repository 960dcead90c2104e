// A pipe between this process and a child.
#pragma once

namespace tarflow::process {

// Gives the descriptor a number after those of the three standard ones, which a child gets anew. A
// program may have been started without these, so that what it opens gets their numbers. -1 with
// errno where that fails: then it is closed.
void move_up(int& end);

// Both ends are closed with it, and in programs that children become. Neither is one of the three
// standard descriptors, which a child gets anew. Throws Error when no pipe can be made.
struct Pipe {
  int read = -1, write = -1;  // -1: closed

  Pipe();
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  static void close_end(int& end);
};

}  // namespace tarflow::process
