// Requests to stop, as a flag that is looked at between pieces of work.
#pragma once

namespace tarflow::experiments {

// From its construction on, SIGTERM, SIGUSR2 and SIGINT (those that are not ignored) ask the
// experiment to stop at its next boundary; a second SIGTERM or SIGINT ends the process at once. A
// handler sets the flag: holding the signals back for a thread that waits for them would not do,
// since CUDA's libraries start threads before main does.
class StopSignals {
 public:
  // `announce`: the log says when it is asked to.
  explicit StopSignals(bool announce = true);

  bool requested() const;
};

// Has `handler` called on the signal, unless the program was started to ignore it (nohup).
void handle_unless_ignored(int signal, void (*handler)(int));

}  // namespace tarflow::experiments
