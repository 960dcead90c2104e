#include "framework/slurm/attempt_counts.h"

#include <algorithm>

#include "framework/core/error.h"
#include "framework/slurm/events.h"
#include "framework/slurm/submission.h"

namespace tarflow::slurm {
namespace {

bool was_done(const std::vector<TaskEvent>& events, const std::string& hash) {
  return std::any_of(events.begin(), events.end(), [&](const TaskEvent& event) {
    return event.what == "job" && event.job == hash && event.outcome == "done";
  });
}

}  // namespace

AttemptCounts::AttemptCounts(const ClusterProfile& profile,
                             const std::filesystem::path& sweep_folder)
    : grow_(profile.grows()), most_(profile.max_resubmissions + 1) {
  if (!grow_) return;
  std::vector<Problem> problems;  // told where nothing may be submitted because of them
  for (const KnownSubmission& known : read_submissions(sweep_folder, problems)) {
    const Submission& submission = known.submission;
    if (!submission.given_up.empty()) continue;
    for (size_t task = 0; task < submission.tasks.size(); ++task) {
      if (submission.taken_back(task)) continue;
      const std::vector<TaskEvent> events = read_events(known.folder, task);
      for (const std::string& hash : submission.tasks[task]) {
        given_[hash] += !was_done(events, hash);
      }
    }
  }
}

int64_t AttemptCounts::of(const std::string& hash) const {
  const auto given = given_.find(hash);
  return !grow_ || given == given_.end() ? 1 : std::min(1 + given->second, most_);
}

}  // namespace tarflow::slurm
