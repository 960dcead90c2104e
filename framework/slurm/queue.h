// What Slurm, or another queue system, knows of array tasks: squeue, for ended ones the
// controller's own record, and for those it has forgotten the accounting where there is any.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/command/queue.h"
#include "framework/slurm/ask.h"

namespace tarflow::slurm {

// A task of an array, or a job that is none.
struct TaskId {
  std::string array;   // Slurm's number of the array or job
  int64_t index = -1;  // -1: of a job that is no array

  std::string str() const;  // "123_4", as Slurm's programs take it
  size_t task() const { return index < 0 ? 0 : static_cast<size_t>(index); }
  auto operator<=>(const TaskId&) const = default;
};

// As Slurm tells it.
struct TaskState {
  TaskId id;
  std::string state;      // "PENDING", "RUNNING", "OUT_OF_MEMORY", ... as squeue names them
  std::string reason;     // why it waits or ended, in Slurm's words; "" for none
  std::string nodes;      // that it has or had, "n[1-2]"; "" before it started
  std::string cancelled;  // who cancelled it, by number, where accounting tells; else ""
  int exit_code = 0;      // of the script, once it has ended and where that is known
  int signal = 0;         // that ended the script
  double elapsed = 0;     // seconds since it last started
  bool bare = false;      // a queue told only the state, in its word `reason`

  bool known() const;    // the state is one of those that are told apart here
  bool waiting() const;  // queued, held or put back: it may run later; so does one not known
  bool running() const;  // has its nodes, or is about to get or leave them
  bool over() const;     // a state in which Slurm leaves a task that has ended
};

using TaskStates = std::map<TaskId, TaskState>;

// An array that is asked about.
struct WantedArray {
  std::string id;
  size_t tasks = 0;  // 0 to tasks - 1
  // Of a job of another queue system, which is asked through them.
  std::optional<command::Templates> templates = {};
};

// Asks; remembers what is over and whether there is accounting. A task that Slurm does not show
// counts as over only after Patience::second_look; until then it is told as COMPLETING.
class Queue {
 public:
  explicit Queue(Patience patience);

  // The tasks of which Slurm knows anything. One that is absent left no trace: it was never there,
  // or has ended so long ago that only our own records tell how. Throws Error when the controller
  // is away for too long; never tells of a task as over because of that.
  TaskStates query(const std::vector<WantedArray>& arrays);
  // Slurm did not show some tasks of the last query, and it takes another look, later, to tell
  // whether they are over.
  bool unsure() const { return unsure_; }

 private:
  struct Absence {
    std::chrono::steady_clock::time_point since;
    int looks = 0;
  };
  bool is_gone(const Absence& absence) const;
  TaskStates query_slurm(const std::vector<WantedArray>& arrays);
  TaskStates ask_commands(const std::vector<WantedArray>& arrays);
  TaskStates ask_queue(const std::vector<WantedArray>& arrays) const;
  void ask_controller(const std::string& array, TaskStates& states);
  void ask_accounting(const std::set<std::string>& arrays, const std::vector<TaskId>& tasks,
                      TaskStates& states);

  Patience patience_;
  command::Watch watch_;
  bool no_accounting_ = false;
  TaskStates over_;                   // with their ends in full
  std::map<TaskId, Absence> absent_;  // tasks that the controller does not know
  bool unsure_ = false;
};

// --- reading what the programs print; text that is none of theirs is passed over ---

// Of `squeue --array --noheader --states=all --format=` kQueueFormat.
inline constexpr const char* kQueueFormat = "%F|%K|%T|%N|%M|%r";
TaskStates read_squeue(const std::string& text);
// Of `scontrol show job --oneliner`.
TaskStates read_scontrol(const std::string& text);
// Of `sacct --allocations --parsable2 --noheader --format=` kAccountFormat.
inline constexpr const char* kAccountFormat = "JobID,State,ExitCode,NodeList,ElapsedRaw,Reason";
TaskStates read_sacct(const std::string& text);

// "3,5-9%2" and "0-8:4" as lists; nothing for what is no list of tasks.
std::optional<std::vector<int64_t>> task_indices(const std::string& text);
// "1-02:03:04", "02:03", as seconds; 0 for anything else.
double elapsed_seconds(const std::string& text);
// "n[1-3,07],gpu1" as names.
std::vector<std::string> node_names(const std::string& text);

}  // namespace tarflow::slurm
