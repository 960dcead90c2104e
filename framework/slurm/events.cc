#include "framework/slurm/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "framework/job/attempts.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TaskEvent, what, time, host, task, restart, job,
                                                outcome, text, silent, starved, unable, killed,
                                                reached, seconds, left, failed)

namespace {

// By the last word of its program, whatever was judged of the task afterwards. One that ended with
// jobs left may be started again by Slurm, and so may one that started since. `alone`: by another
// queue, which starts it again only where a start did not end, or runs it twice.
bool finished(const std::vector<TaskEvent>& events, bool alone) {
  const auto last = std::find_if(events.rbegin(), events.rend(), [](const TaskEvent& event) {
    return event.what == "start" || event.what == "end";
  });
  if (last == events.rend() || last->what != "end") return false;
  const auto count = [&](const char* what) {
    return std::count_if(events.begin(), events.end(),
                         [&](const TaskEvent& event) { return event.what == what; });
  };
  return last->left == 0 || (alone && count("end") >= count("start"));
}

}  // namespace

fs::path events_file(const SubmissionFolder& folder, size_t task) {
  return folder.path / fmt::format("task-{}.events.jsonl", task);
}

void append_event(const SubmissionFolder& folder, const TaskEvent& event) {
  job::append_line(events_file(folder, event.task), canonical(event));
}

std::vector<TaskEvent> read_events(const SubmissionFolder& folder, size_t task) {
  std::vector<TaskEvent> events;
  std::ifstream in(events_file(folder, task));
  for (std::string line; std::getline(in, line);) {
    try {
      auto event = Json::parse(line).get<TaskEvent>();
      if (!event.what.empty()) events.push_back(std::move(event));
    } catch (const Json::exception&) {
      // Half a line, or none of ours.
    }
  }
  return events;
}

bool all_tasks_finished(const SubmissionFolder& folder, const Submission& submission) {
  // From the last task on: while some are at work it is the likeliest, and one file is read.
  for (size_t task = submission.tasks.size(); task-- > 0;) {
    if (!finished(read_events(folder, task), submission.profile.by_command())) return false;
  }
  return true;
}

}  // namespace tarflow::slurm
