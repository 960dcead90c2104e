#include "framework/slurm/queue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace tarflow::slurm {
namespace {

// Accounting may lag behind a controller that forgets quickly.
constexpr int kLooks = 5;

bool unknown_job(const process::Said& said) {
  return said.err.find("Invalid job id") != std::string::npos;
}

bool no_accounting(const process::Said& said) {
  return said.status == 127 || said.err.find("accounting storage is disabled") != std::string::npos;
}

}  // namespace

Queue::Queue(Patience patience)
    : patience_(std::move(patience)), watch_(patience_.ask, patience_.notice, patience_.beat) {}

TaskStates Queue::query(const std::vector<WantedArray>& arrays) {
  TaskStates states = ask_commands(arrays);
  std::vector<WantedArray> of_slurm;
  for (const WantedArray& array : arrays) {
    if (!array.templates) of_slurm.push_back(array);
  }
  unsure_ = false;
  states.merge(query_slurm(of_slurm));
  return states;
}

TaskStates Queue::ask_commands(const std::vector<WantedArray>& arrays) {
  using enum command::State;
  std::vector<std::pair<command::Templates, std::vector<std::string>>> profiles;
  for (const WantedArray& array : arrays) {
    if (!array.templates) continue;
    auto same = std::find_if(profiles.begin(), profiles.end(), [&](const auto& profile) {
      return profile.first == *array.templates;
    });
    if (same == profiles.end()) {
      same = profiles.insert(same, {*array.templates, std::vector<std::string>()});
    }
    same->second.push_back(array.id);
  }
  TaskStates states;
  for (const auto& [templates, ids] : profiles) {
    for (const auto& [id, standing] : watch_.look(templates, ids)) {
      TaskState& state = states[{id}];
      state.id = {id};
      state.state = standing.state == kWaiting   ? "PENDING"
                    : standing.state == kRunning ? "RUNNING"
                    : standing.state == kDone    ? "COMPLETED"
                                                 : "FAILED";
      state.reason = standing.text;
      state.bare = true;
    }
  }
  return states;
}

// Whatever is not an answer about jobs, the controller is asked again: a state is told only when
// Slurm told it.
TaskStates Queue::ask_queue(const std::vector<WantedArray>& arrays) const {
  std::vector<std::string> ids;
  for (const WantedArray& array : arrays) ids.push_back(array.id);
  const process::Said said = ask_slurm(
      {"squeue", "--array", "--noheader", "--states=all",
       fmt::format("--jobs={}", fmt::join(ids, ",")), fmt::format("--format={}", kQueueFormat)},
      patience_, [](const process::Said& answer) {
        // Of several clusters squeue may leave out one that is away, and end well.
        return answer.well() ? !says_away(answer.err) : unknown_job(answer);
      });
  return said.well() ? read_squeue(said.out) : TaskStates();
}

TaskStates Queue::query_slurm(const std::vector<WantedArray>& arrays) {
  if (arrays.empty()) return {};
  const TaskStates queued = ask_queue(arrays);
  TaskStates states;
  std::set<std::string> ended, absent;
  std::vector<TaskId> without;
  for (const WantedArray& array : arrays) {
    for (size_t i = 0; i < array.tasks; ++i) {
      const TaskId id{array.id, static_cast<int64_t>(i)};
      const auto known = queued.find(id);
      if (known != queued.end() && !known->second.over()) {
        over_.erase(id);
        absent_.erase(id);
        states[id] = known->second;
      } else if (const auto before = over_.find(id); before != over_.end()) {
        states[id] = before->second;
      } else if (known != queued.end()) {
        states[id] = known->second;
        ended.insert(array.id);
      } else if (const auto gone = absent_.find(id);
                 gone == absent_.end() || !is_gone(gone->second)) {
        without.push_back(id);
        absent.insert(array.id);
      }
    }
  }
  for (const std::string& array : ended) ask_controller(array, states);
  if (!absent.empty()) ask_accounting(absent, without, states);
  for (const auto& [id, state] : states) {
    if (state.over()) over_.try_emplace(id, state);
  }
  return states;
}

bool Queue::is_gone(const Absence& absence) const {
  const int looks = !no_accounting_ ? kLooks : patience_.second_look.count() > 0 ? 2 : 1;
  return absence.looks >= looks && patience_.now() - absence.since >= patience_.second_look;
}

// How tasks ended, which squeue does not tell.
void Queue::ask_controller(const std::string& array, TaskStates& states) {
  const process::Said said =
      ask_slurm({"scontrol", "show", "job", "--oneliner", array}, patience_,
                [](const process::Said& answer) { return answer.well() || unknown_job(answer); });
  for (const auto& [id, state] : read_scontrol(said.well() ? said.out : "")) {
    const auto known = states.find(id);
    if (known != states.end() && known->second.over()) known->second = state;
  }
}

// Tasks that the controller does not know (any more).
void Queue::ask_accounting(const std::set<std::string>& arrays, const std::vector<TaskId>& tasks,
                           TaskStates& states) {
  TaskStates told;
  if (!no_accounting_) {
    const process::Said said = patience_.ask({"sacct", "--allocations", "--parsable2", "--noheader",
                                              fmt::format("--jobs={}", fmt::join(arrays, ",")),
                                              fmt::format("--format={}", kAccountFormat)});
    no_accounting_ = no_accounting(said);
    if (said.well()) told = read_sacct(said.out);
  }
  for (const TaskId& id : tasks) {
    const auto known = told.find(id);
    if (known != told.end() && known->second.over()) {
      states[id] = known->second;
      continue;
    }
    Absence& absence = absent_.try_emplace(id, Absence{patience_.now()}).first->second;
    ++absence.looks;
    if (is_gone(absence)) continue;  // no trace of it; it is not looked for again
    unsure_ = true;
    TaskState& ending = states[id];
    ending.id = id;
    ending.state = "COMPLETING";  // how it ended is not written down yet
  }
}

}  // namespace tarflow::slurm
