#include "framework/slurm/bad_nodes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace tarflow::slurm {
namespace {

// Marks against a node, and whether anything ever went well on it.
struct Repute {
  int marks = 0;
  bool lost = false, good = false;
};

void add_events(const std::vector<TaskEvent>& events, std::map<std::string, Repute>& nodes) {
  const TaskEvent* start = nullptr;
  bool explained = false;
  for (const TaskEvent& event : events) {
    if (event.host.empty()) continue;
    Repute& node = nodes[event.host];
    if (event.what == "start") {
      // The one before vanished: its node failed, or it was ended without a word.
      if (start && !explained) ++nodes[start->host].marks;
      start = &event;
      explained = false;
    }
    explained = explained || event.what == "told" || event.what == "end";
    if (event.what != "job") continue;
    node.good = node.good || event.outcome == "done" || event.outcome == "stopped";
    node.marks += event.silent || event.unable;
  }
}

bool was_started(const std::vector<TaskEvent>& events) {
  return std::any_of(events.begin(), events.end(),
                     [](const TaskEvent& event) { return event.what == "start"; });
}

}  // namespace

std::vector<std::string> bad_nodes(const std::vector<TaskEvidence>& tasks) {
  constexpr int kMarks = 2;
  std::map<std::string, Repute> nodes;
  for (const TaskEvidence& task : tasks) {
    add_events(task.events, nodes);
    if (!task.state) continue;
    const std::vector<std::string> names = node_names(task.state->nodes);
    const bool lost = task.state->state == "NODE_FAIL" || task.state->state == "BOOT_FAIL";
    const bool not_started =
        task.state->over() && task.state->reason == "JobLaunchFailure" && !was_started(task.events);
    for (const std::string& name : names) {
      nodes[name].marks += lost || not_started;
      nodes[name].lost = nodes[name].lost || (lost && names.size() == 1);
    }
  }
  std::vector<std::string> bad;
  for (const auto& [name, repute] : nodes) {
    if (repute.lost || (repute.marks >= kMarks && !repute.good)) bad.push_back(name);
  }
  if (bad.size() > 1 && 2 * bad.size() > nodes.size()) bad.clear();
  return bad;
}

std::string put_back(const TaskId& task, const std::vector<std::string>& without,
                     const Patience& patience) {
  std::vector<std::vector<std::string>> commands;
  if (!without.empty()) {
    commands.push_back({"scontrol", "update", "JobId=" + task.str(),
                        fmt::format("ExcNodeList={}", fmt::join(without, ","))});
  }
  commands.push_back({"scontrol", "release", task.str()});
  for (const std::vector<std::string>& command : commands) {
    const process::Said said = ask_slurm(command, patience);
    if (!said.well()) return said.complaint();
  }
  return "";
}

}  // namespace tarflow::slurm
