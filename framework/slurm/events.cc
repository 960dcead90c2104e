#include "framework/slurm/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "framework/job/attempts.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

// By the last word of its program, whatever was judged of the task afterwards. One that ended with
// jobs left may be started again by Slurm, and so may one that started since.
bool finished(const std::vector<TaskEvent>& events) {
  const auto last = std::find_if(events.rbegin(), events.rend(), [](const TaskEvent& event) {
    return event.what == "start" || event.what == "end";
  });
  return last != events.rend() && last->what == "end" && last->left == 0;
}

}  // namespace

fs::path events_file(const SubmissionFolder& folder, size_t task) {
  return folder.path / fmt::format("task-{}.events.jsonl", task);
}

void append_event(const SubmissionFolder& folder, const TaskEvent& event) {
  Json json = {{"what", event.what},
               {"time", event.time},
               {"host", event.host},
               {"task", event.task},
               {"restart", event.restart}};
  if (!event.job.empty()) json["job"] = event.job;
  if (!event.outcome.empty()) json["outcome"] = event.outcome;
  if (!event.text.empty()) json["text"] = event.text;
  if (event.silent) json["silent"] = true;
  if (event.unable) json["unable"] = true;
  if (event.reached > 0) json["reached"] = event.reached;
  if (event.seconds > 0) json["seconds"] = event.seconds;
  if (event.what == "end") {
    json["left"] = event.left;
    json["failed"] = event.failed;
  }
  job::append_line(events_file(folder, event.task), canonical(json));
}

std::vector<TaskEvent> read_events(const SubmissionFolder& folder, size_t task) {
  std::vector<TaskEvent> events;
  std::ifstream in(events_file(folder, task));
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    try {
      TaskEvent event;
      event.what = json.at("what").get<std::string>();
      event.time = json.at("time").get<std::string>();
      event.host = json.at("host").get<std::string>();
      event.task = json.at("task").get<size_t>();
      event.restart = json.at("restart").get<int>();
      event.job = json.value("job", "");
      event.outcome = json.value("outcome", "");
      event.text = json.value("text", "");
      event.silent = json.value("silent", false);
      event.unable = json.value("unable", false);
      event.reached = json.value("reached", 0.0);
      event.seconds = json.value("seconds", 0.0);
      event.left = json.value("left", size_t{0});
      event.failed = json.value("failed", size_t{0});
      events.push_back(std::move(event));
    } catch (const Json::exception&) {
      // Whatever it is, it is no line of ours.
    }
  }
  return events;
}

bool all_tasks_finished(const SubmissionFolder& folder, const Submission& submission) {
  // From the last task on: while some are at work it is the likeliest, and one file is read.
  for (size_t task = submission.tasks.size(); task-- > 0;) {
    if (!finished(read_events(folder, task))) return false;
  }
  return true;
}

}  // namespace tarflow::slurm
