#include "framework/slurm/begun_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tarflow::slurm {

BegunJob::BegunJob(job::Job job, job::JobFolder folder, size_t part)
    : job_(std::move(job)), folder_(std::move(folder)), part_(part) {}

void BegunJob::pause(double seconds) {
  next_ = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
}

void BegunJob::start(const job::Launch& launch) {
  ++attempts_;
  time_over_ = false;
  stopped_for_ = {};
  attempt_.emplace(job_, folder_, launch);
  began_ = Clock::now();
}

std::optional<job::Outcome> BegunJob::poll() {
  std::optional<job::Outcome> outcome = attempt_->poll();
  if (outcome) attempt_.reset();
  return outcome;
}

void BegunJob::stop(const std::string& why, bool failed, std::chrono::milliseconds grace) {
  attempt_->stop(why, failed, grace);
}

void BegunJob::was_stopped(Clock::time_point from, Clock::time_point to) {
  if (attempt_ && to > began_) stopped_for_ += to - std::max(from, began_);
}

double BegunJob::seconds() const {
  return attempt_->seconds() - std::chrono::duration<double>(stopped_for_).count();
}

void BegunJob::keep_to(double time_limit, std::chrono::milliseconds grace) {
  if (time_limit <= 0 || seconds() <= time_limit) return;
  time_over_ = true;
  attempt_->stop(fmt::format("it reached its time limit of {}", job::duration(time_limit)),
                 /*failed=*/true, grace);
}

}  // namespace tarflow::slurm
