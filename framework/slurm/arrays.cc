#include "framework/slurm/arrays.h"

#include <algorithm>
#include <utility>

namespace tarflow::slurm {
namespace {

// Whether the job may join those of a task.
bool fits(const std::vector<QueuedJob>& task, const QueuedJob& job, const ClusterProfile& profile) {
  if (task.empty()) return true;
  if (job.alone || task.back().alone) return false;
  if (static_cast<int64_t>(task.size()) >= profile.jobs_per_allocation) return false;
  if (profile.pack_time <= 0) return true;
  double seconds = job.seconds.value_or(profile.pack_time);
  for (const QueuedJob& other : task) seconds += other.seconds.value_or(profile.pack_time);
  return seconds <= profile.pack_time;
}

bool alike(const TaskArray& array, const QueuedJob& job) {
  return array.run == *job.job->run && array.after == job.after && array.attempt == job.attempt;
}

void add(TaskArray& array, const QueuedJob& job, const ClusterProfile& profile) {
  if (array.tasks.empty() || !fits(array.tasks.back(), job, profile)) array.tasks.emplace_back();
  array.tasks.back().push_back(job);
}

}  // namespace

std::vector<TaskArray> arrays_of(const std::vector<QueuedJob>& jobs, const ClusterProfile& profile,
                                 size_t most) {
  std::vector<TaskArray> whole;
  for (const QueuedJob& job : jobs) {
    auto array = std::find_if(whole.begin(), whole.end(),
                              [&](const TaskArray& known) { return alike(known, job); });
    if (array == whole.end()) {
      array = whole.insert(whole.end(), TaskArray{*job.job->run, job.after, job.attempt, {}});
    }
    add(*array, job, profile);
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
