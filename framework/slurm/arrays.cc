#include "framework/slurm/arrays.h"

#include <algorithm>
#include <utility>

#include "framework/slurm/whole_nodes.h"

namespace tarflow::slurm {
namespace {

using Jobs = std::vector<QueuedJob>;
using Tasks = std::vector<Jobs>;

// The jobs of a task in the making: how long each of those that run at once takes in all.
class OpenTask {
 public:
  OpenTask(const ClusterProfile& profile, size_t at_once, size_t most)
      : profile_(&profile), most_(most), seconds_(at_once, 0.0) {}

  // Adds the job, or does nothing where it does not fit. The next job begins where one ends first;
  // one that takes longer than pack_time by itself begins only where none ran before.
  bool add(const QueuedJob& job) {
    if (!jobs_.empty() && (job.alone || jobs_.back().alone || jobs_.size() >= most_)) return false;
    double& busy = *std::min_element(seconds_.begin(), seconds_.end());
    const double seconds = busy + job.seconds.value_or(profile_->pack_time);
    const bool first = jobs_.size() < seconds_.size();
    if (!first && profile_->pack_time > 0 && seconds > profile_->pack_time) return false;
    busy = seconds;
    jobs_.push_back(job);
    return true;
  }
  Jobs take() { return std::move(jobs_); }

 private:
  const ClusterProfile* profile_;
  size_t most_;
  std::vector<double> seconds_;
  Jobs jobs_;
};

// In their order, at most `most` a task.
Tasks in_turn(const Jobs& jobs, const ClusterProfile& profile, size_t at_once, size_t most) {
  Tasks tasks;
  OpenTask open(profile, at_once, most);
  for (const QueuedJob& job : jobs) {
    if (open.add(job)) continue;
    tasks.push_back(open.take());
    open = OpenTask(profile, at_once, most);
    open.add(job);
  }
  tasks.push_back(open.take());
  return tasks;
}

size_t rounds_of_all(const Tasks& tasks, size_t at_once) {
  size_t rounds = 0;
  for (const Jobs& task : tasks) rounds += rounds_of(task.size(), at_once);
  return rounds;
}

// As few tasks as can be. Where several jobs run at once they are about equally full, so that no
// node is taken for a single job while others have many, as long as that costs no time of a node.
Tasks dealt(const Jobs& jobs, const ClusterProfile& profile, const sweep::RunSettings& run) {
  const auto at_once = static_cast<size_t>(jobs_at_once(profile, run));
  const size_t most = at_once * static_cast<size_t>(profile.jobs_per_allocation);
  Tasks fewest = in_turn(jobs, profile, at_once, most);
  if (at_once == 1) return fewest;
  size_t fullest = 0;
  for (const Jobs& task : fewest) fullest = std::max(fullest, task.size());
  for (size_t each = (jobs.size() + fewest.size() - 1) / fewest.size(); each < fullest; ++each) {
    Tasks equal = in_turn(jobs, profile, at_once, each);
    if (equal.size() == fewest.size() &&
        rounds_of_all(equal, at_once) <= rounds_of_all(fewest, at_once)) {
      return equal;
    }
  }
  return fewest;
}

bool alike(const TaskArray& array, const QueuedJob& job) {
  return array.run == *job.job->run && array.after == job.after && array.attempt == job.attempt;
}

}  // namespace

std::vector<TaskArray> arrays_of(const std::vector<QueuedJob>& jobs, const ClusterProfile& profile,
                                 size_t most) {
  std::vector<TaskArray> whole;
  std::vector<Jobs> jobs_of;  // of each
  for (const QueuedJob& job : jobs) {
    auto array = std::find_if(whole.begin(), whole.end(),
                              [&](const TaskArray& known) { return alike(known, job); });
    if (array == whole.end()) {
      array = whole.insert(whole.end(), TaskArray{*job.job->run, job.after, job.attempt, {}});
      jobs_of.emplace_back();
    }
    jobs_of[static_cast<size_t>(array - whole.begin())].push_back(job);
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    whole[i].tasks = dealt(jobs_of[i], profile, whole[i].run);
  }
  if (profile.max_array > 0) most = std::min(most, static_cast<size_t>(profile.max_array));
  most = std::max<size_t>(most, 1);
  std::vector<TaskArray> arrays;
  for (const TaskArray& array : whole) {
    for (size_t begin = 0; begin < array.tasks.size(); begin += most) {
      const size_t end = std::min(begin + most, array.tasks.size());
      TaskArray& part = arrays.emplace_back(TaskArray{array.run, array.after, array.attempt, {}});
      for (size_t i = begin; i < end; ++i) part.tasks.push_back(array.tasks[i]);
    }
  }
  return arrays;
}

Turns::Turns(int64_t max_parallel, std::vector<std::string> open)
    : most_(max_parallel), room_(open.empty() ? max_parallel : 0), now_(std::move(open)) {}

Turns::Turn Turns::next(size_t tasks) {
  if (most_ == 0) return {};
  const int64_t wish = std::min(static_cast<int64_t>(tasks), most_);
  // With less than half of what it could use it is better off waiting for all of it.
  if (2 * room_ < wish) {
    before_ = std::move(now_);
    now_.clear();
    room_ = most_;
  }
  const int64_t parallel = std::min(wish, room_);
  room_ -= parallel;
  return {parallel, before_};
}

}  // namespace tarflow::slurm
