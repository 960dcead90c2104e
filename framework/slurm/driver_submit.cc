// The half of the driver that gives jobs to Slurm.
#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"
#include "framework/job/plan.h"
#include "framework/slurm/bad_nodes.h"
#include "framework/slurm/by_command.h"
#include "framework/slurm/driver.h"
#include "framework/slurm/script.h"

namespace tarflow::slurm {
namespace fs = std::filesystem;
namespace {

using job::Event;

// The jobs that fill a limit may be another sweep's, whose ends are not seen here.
constexpr std::chrono::minutes kFullFor{5};
// A task whose result is here counts for Slurm until its script and the node's epilog have ended.
constexpr std::chrono::seconds kSettles{30};
constexpr std::chrono::hours kOthersFill{1};

}  // namespace

const ClusterFacts& SlurmDriver::facts() {
  if (facts_) return *facts_;
  if (options_.profile.by_command()) return facts_.emplace(ClusterFacts{"", 1});
  if (!options_.rehearsal) return facts_.emplace(cluster_facts(options_.patience));
  Patience none = options_.patience;
  none.limit = none.pause = std::chrono::milliseconds(0);
  try {
    return facts_.emplace(cluster_facts(none));
  } catch (const Error&) {
    return facts_.emplace();  // without Slurm: its own default of what an array may have
  }
}

std::vector<Event> SlurmDriver::submit(std::vector<job::Task> tasks) {
  Events events;
  for (job::Task& task : tasks) {
    Tracked& tracked = tracked_[task.job->hash];
    tracked.task = std::move(task);
    tracked.state = State::kWaiting;
  }
  top_up(events);
  return events;
}

size_t SlurmDriver::most_open() {
  if (room_ && options_.patience.now() - room_->time >= kFullFor) room_.reset();
  const auto most = static_cast<size_t>(options_.profile.max_queued);
  if (!room_) return most;
  return most == 0 ? room_->open : std::min(most, room_->open);
}

void SlurmDriver::top_up(Events& events) {
  return_readers(events);
  // Not by single tasks: each array that is added waits for its turn under max_parallel.
  const size_t most = most_open();
  if (waiting() == 0 || is_full() || (most > 0 && 2 * open_tasks() > most)) return;
  Turns turns(options_.profile.max_parallel, open_arrays());
  std::vector<Refused> too_large;
  for (TaskArray& array : arrays_of(ready(), options_.profile, facts().most_tasks)) {
    if (const size_t now = most_open(); now > 0) {
      const size_t open = open_tasks();
      if (open >= now) break;
      array.tasks.resize(std::min(array.tasks.size(), now - open));
    }
    std::optional<Refused> refused = give_what_fits(std::move(array), turns, events);
    if (!refused) continue;
    if (refused->limit.kind == Limit::Kind::kQueue) break;  // with the end of others there is room
    too_large.push_back(std::move(*refused));
  }
  if (too_large.empty()) return;
  // Where Slurm takes nothing at all, it is the profile and not some jobs.
  if (!had_room()) throw too_large.front().error;
  for (const Refused& refused : too_large) {
    for (const std::string& hash : refused.jobs) {
      fail(tracked_.at(hash), refused.error.what(), 0, events);
    }
  }
}

// Whether the queue took a job of this sweep: then a refusal is no fault of the profile alone.
bool SlurmDriver::had_room() const { return submitted_ > 0 || adopted_ || open_tasks() > 0; }

// With the end of this sweep's jobs, or of others': but no longer than an hour after the last of
// ours, since a refusal need not say that it is for good.
bool SlurmDriver::room_may_come() const {
  return open_tasks() > 0 || (last_end_ && options_.patience.now() - *last_end_ < kOthersFill);
}

// As many of its tasks as Slurm has room for. Where nobody says how many these are, it is tried
// with half as many each time.
std::optional<SlurmDriver::Refused> SlurmDriver::give_what_fits(TaskArray array, Turns& turns,
                                                                Events& events) {
  const size_t all = array.tasks.size();
  for (std::string name;;) {
    Turns attempt = turns;
    std::optional<Refused> refused = give(array, attempt, events);
    if (!refused) {
      turns = std::move(attempt);
      if (array.tasks.size() < all) say_room(name, events);
      return refused;
    }
    if (refused->limit.kind != Limit::Kind::kQueue) return refused;
    // Nothing is concluded yet: the next look tries it again.
    if (last_end_ && options_.patience.now() - *last_end_ < kSettles) return refused;
    if (array.tasks.size() == 1 && !room_may_come()) throw refused->error;
    if (array.tasks.size() == 1) {
      refused_ = {open_tasks(), options_.patience.now()};
      return refused;
    }
    name = refused->limit.name;
    array.tasks.resize(array.tasks.size() / 2);
  }
}

void SlurmDriver::say_room(const std::string& limit, Events& events) {
  room_ = {open_tasks(), options_.patience.now()};
  const std::string named = limit.empty() ? "" : fmt::format(" ({})", limit);
  events.push_back(
      {Event::What::kRemark, "",
       fmt::format("Slurm has no room for all jobs of this sweep at once{}: it has {}, and --wait "
                   "submits the others as these end. To ask for no more from the start: "
                   "`max_queued: {}` in the cluster profile `{}`",
                   named, job::counted(room_->open, "task"), room_->open, options_.profile.name)});
}

// A file that a maker was to write may be there from before: a reader does not go without its
// maker.
void SlurmDriver::return_readers(Events& events) {
  for (auto& [hash, tracked] : tracked_) {
    if (tracked.state != State::kWaiting) continue;
    const std::vector<std::string>& after = tracked.task.after;
    const bool lost = std::any_of(after.begin(), after.end(), [&](const std::string& maker) {
      const auto known = tracked_.find(maker);
      return known != tracked_.end() && known->second.state == State::kOver;
    });
    if (!lost) continue;
    tracked.state = State::kOver;
    events.push_back({Event::What::kReturned, hash});
  }
}

// Each attempt prepares folders and asks sbatch: none is made while it can only be refused again.
bool SlurmDriver::is_full() {
  if (refused_ &&
      (open_tasks() < refused_->open || options_.patience.now() - refused_->time >= kFullFor)) {
    refused_.reset();
  }
  return refused_.has_value();
}

// In their turns. A reader comes after its makers: Slurm has each of them, or it is done. Another
// queue is not told of the order, so that they have to be done.
std::vector<QueuedJob> SlurmDriver::ready() const {
  std::map<size_t, QueuedJob> in_turn;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state != State::kWaiting) continue;
    const std::vector<std::string>& after = tracked.task.after;
    const bool goes = std::all_of(after.begin(), after.end(), [&](const std::string& maker) {
      const auto known = tracked_.find(maker);
      return known == tracked_.end() || known->second.state == State::kDone ||
             (known->second.state == State::kQueued && !options_.profile.by_command());
    });
    if (goes) in_turn.emplace(tracked.task.turn, queued(tracked));
  }
  std::vector<QueuedJob> jobs;
  for (auto& [turn, job] : in_turn) jobs.push_back(std::move(job));
  return jobs;
}

size_t SlurmDriver::waiting() const {
  return static_cast<size_t>(std::count_if(tracked_.begin(), tracked_.end(), [](const auto& entry) {
    return entry.second.state == State::kWaiting;
  }));
}

bool SlurmDriver::makers_awaited() const {
  return std::any_of(tracked_.begin(), tracked_.end(), [&](const auto& entry) {
    const std::vector<std::string>& after = entry.second.task.after;
    return entry.second.state == State::kWaiting &&
           std::any_of(after.begin(), after.end(), [&](const std::string& maker) {
             const auto known = tracked_.find(maker);
             return known != tracked_.end() && known->second.state != State::kDone;
           });
  });
}

size_t SlurmDriver::open_tasks() const {
  std::set<TaskId> open;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state == State::kQueued) open.insert(tracked.id);
  }
  return open.size();
}

QueuedJob SlurmDriver::queued(const Tracked& tracked) const {
  const job::Task& task = tracked.task;
  // With another queue a reader waits here for its makers, and not for the ends of their tasks.
  const bool alone = task.awaited && !options_.profile.by_command();
  QueuedJob job{task.job.get(), task.timed, task.seconds, {}, alone};
  std::set<std::string> after;
  for (const std::string& hash : task.after) {
    const auto maker = tracked_.find(hash);
    if (maker != tracked_.end() && maker->second.state == State::kQueued) {
      after.insert(maker->second.id.str());
    }
  }
  job.after.assign(after.begin(), after.end());
  job.attempt = attempts_.of(task.job->hash);
  return job;
}

std::vector<std::string> SlurmDriver::open_arrays() const {
  std::set<std::string> open;
  for (const auto& [hash, tracked] : tracked_) {
    if (tracked.state == State::kQueued) open.insert(tracked.id.array);
  }
  return {open.begin(), open.end()};
}

std::vector<std::string> SlurmDriver::nodes_to_avoid() const {
  std::vector<TaskEvidence> ended;
  for (const auto& [task, evidence] : evidence_) ended.push_back(evidence);
  std::set<std::string> nodes = avoided_;
  for (std::string& node : bad_nodes(ended)) nodes.insert(std::move(node));
  return {nodes.begin(), nodes.end()};
}

Submission SlurmDriver::submission_of(const TaskArray& array, Turns::Turn turn) const {
  Submission submission;
  submission.cluster = facts_ ? facts_->name : "";
  submission.run = array.run;
  submission.attempt = array.attempt;
  submission.after = array.after;
  submission.behind = std::move(turn.behind);
  submission.profile = options_.profile;
  submission.profile.max_parallel = turn.parallel;
  submission.avoided = nodes_to_avoid();
  for (const std::string& node : submission.avoided) {
    std::string& exclude = submission.profile.exclude;
    exclude += (exclude.empty() ? "" : ",") + node;
  }
  submission.programs = options_.programs;
  for (const std::vector<QueuedJob>& task : array.tasks) {
    std::vector<std::string>& hashes = submission.tasks.emplace_back();
    for (const QueuedJob& job : task) {
      hashes.push_back(job.job->hash);
      const job::Task& given = tracked_.at(hashes.back()).task;
      if (given.tries > 0) submission.tries[given.job->hash] = given.tries;
      if (given.reached > 0) submission.reached[given.job->hash] = given.reached;
      if (job.timed) submission.timed.insert(job.job->hash);
    }
  }
  return submission;
}

// What sbatch refused for a limit, in words.
Error SlurmDriver::refusal_error(const Limit& limit, const Submission& submission,
                                 const SubmissionFolder& folder) const {
  if (limit.kind != Limit::Kind::kQueue) {
    return Error(fmt::format("{}; {}", submission.given_up, too_large_text(limit)),
                 too_large_repair(limit));
  }
  return Error(
      fmt::format("Slurm has no room for a single job of this sweep; {} ({})", submission.given_up,
                  folder.script().string()),
      limit.name.empty()
          ? "either your other jobs fill your limit (`squeue --me` shows them): then wait until "
            "some of them have ended. Or the job exceeds a limit of its QOS or account, which "
            "`sacctmgr show qos` and `sacctmgr show assoc user=$USER` show"
          : "your other jobs fill this limit (`squeue --me` shows them): wait until some of them "
            "have ended, then the same command again. Or choose another `qos` or `account` in the "
            "cluster profile");
}

std::optional<SlurmDriver::Refused> SlurmDriver::give(const TaskArray& array, Turns& turns,
                                                      Events& events) {
  Submission submission = submission_of(array, turns.next(array.tasks.size()));
  SubmissionFolder folder;
  if (options_.rehearsal) {
    submission.name = fmt::format("array{}", arrays_.size() + 1);
    submission.job_name =
        fmt::format("{}-{}", options_.sweep_folder.filename().string(), submission.name);
    submission.job_id = fmt::format("ARRAY{}", arrays_.size() + 1);
    folder = {fs::absolute(slurm_folder(options_.sweep_folder) / submission.name)};
    rehearse(submission, folder);
  } else {
    for (std::vector<std::string>& task : submission.tasks) {
      std::erase_if(task,
                    [&](const std::string& hash) { return !prepare(tracked_.at(hash), events); });
    }
    std::erase_if(submission.tasks, [](const auto& task) { return task.empty(); });
    if (submission.tasks.empty()) return std::nullopt;
    folder = new_submission(fs::absolute(options_.sweep_folder), submission);
    try {
      slurm::submit(folder, submission, fs::current_path(), options_.patience);
    } catch (const Error& failure) {
      // Another queue does not say why, so that there may be room later.
      const bool other = dynamic_cast<const command::Refused*>(&failure) != nullptr;
      if (other && !room_may_come()) throw;
      if (other) {
        events.push_back({Event::What::kRemark, "", failure.problems().front().what});
        std::error_code ignored;
        if (!submission.given_up.empty()) fs::remove_all(folder.path, ignored);
        return Refused{{Limit::Kind::kQueue, ""}, failure, {}};
      }
      const Limit limit = limit_of_refusal(submission.given_up);
      if (limit.kind == Limit::Kind::kNone) throw;
      Refused refused{limit, refusal_error(limit, submission, folder), {}};
      for (const auto& task : submission.tasks) {
        refused.jobs.insert(refused.jobs.end(), task.begin(), task.end());
      }
      std::error_code ignored;
      if (limit.kind == Limit::Kind::kQueue) fs::remove_all(folder.path, ignored);
      return refused;
    }
  }
  turns.given(submission.job_id);
  note(submission, folder);
  return std::nullopt;
}

// Jobs of another queue are submitted one by one, and many are alike: one of these is shown.
void SlurmDriver::rehearse(const Submission& submission, const SubmissionFolder& folder) {
  if (!options_.profile.by_command()) {
    scripts_ += sbatch_text(submission, folder, fs::current_path()) + "\n";
    return;
  }
  for (Shown& shown : shown_) {
    const Submission& alike = shown.submission;
    if (alike.run == submission.run && alike.attempt == submission.attempt) {
      return void(++shown.others);
    }
  }
  shown_.push_back({submission});
  scripts_ += submit_preview(submission, folder, fs::current_path()) + "\n";
}

std::string SlurmDriver::scripts() const {
  std::string text = scripts_;
  for (const Shown& shown : shown_) {
    if (shown.others == 0) continue;
    text += shown.now ? fmt::format("and {} more", shown.others) : fmt::format("{}", shown.others);
    text += fmt::format(" like {}\n", shown.submission.job_name);
  }
  return text;
}

void SlurmDriver::rehearse_later() {
  scripts_.clear();
  for (Shown& shown : shown_) shown = {std::move(shown.submission), 0, false};
  for (size_t left = 0; waiting() > 0 && waiting() != left;) {
    left = waiting();
    for (auto& [hash, tracked] : tracked_) {
      if (tracked.state == State::kQueued) tracked.state = State::kDone;
    }
    Events unheard;
    top_up(unheard);
  }
}

// Whether its folder is ready; one that is not costs this job alone.
bool SlurmDriver::prepare(Tracked& tracked, Events& events) {
  options_.patience.beat();
  try {
    job::prepare_folder(*tracked.task.job, folder_of(tracked));
    return true;
  } catch (const Error& failure) {
    tracked.state = State::kOver;
    events.push_back({Event::What::kFailed, tracked.task.job->hash, failure.what()});
    return false;
  }
}

void SlurmDriver::note(const Submission& submission, const SubmissionFolder& folder) {
  arrays_.push_back(submission.job_id);
  for (size_t task = 0; task < submission.tasks.size(); ++task) {
    for (const std::string& hash : submission.tasks[task]) {
      Tracked& tracked = tracked_.at(hash);
      tracked.state = State::kQueued;
      tracked.id = task_id(submission, task);
      tracked.submission = folder;
      tracked.missing = 0;
      attempts_.given(hash);
      ++submitted_;
    }
  }
}

}  // namespace tarflow::slurm
