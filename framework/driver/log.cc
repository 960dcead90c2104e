// run_sweep log: the log of a job.
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/driver/job_states.h"
#include "framework/driver/look.h"
#include "framework/job/job_folder.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr size_t kShown = 20;  // jobs among which one is to be chosen
constexpr std::chrono::seconds kPoll{1};
constexpr std::chrono::seconds kClusterPoll{15};
constexpr std::chrono::seconds kPatience{10};  // with a Slurm that does not answer

// Jobs that have a log, by its file: of the selected points whose ids, or the ids of whose jobs,
// begin with `wanted`. A done point's log is that of the job that computed it.
std::map<fs::path, const job::Job*> find_logs(const job::Plan& plan, const std::string& wanted) {
  std::map<fs::path, const job::Job*> logs;
  for (const job::Jobs* jobs : {&plan.all, &plan.pending}) {
    for (const job::Job& job : *jobs) {
      for (const job::JobPoint& point : job.points) {
        const bool named = job.hash.starts_with(wanted) || point.id.starts_with(wanted);
        if (!named || !point.selected) continue;
        const auto done = plan.done.by_key.find(point.key);
        const job::JobFolder folder{done == plan.done.by_key.end()
                                        ? plan.jobs_folder() / job.hash
                                        : done->second.result.parent_path()};
        std::error_code ignored;
        if (fs::exists(folder.log(), ignored)) logs.emplace(folder.log(), &job);
      }
    }
  }
  if (!logs.empty()) return logs;
  throw Error(
      wanted.empty()
          ? std::string("no job of these points has run")
          : fmt::format("no job has run whose id, or a point of which, begins with `{}`", wanted),
      "run_sweep plan --list FILE lists the jobs, run_sweep plan FILE their points");
}

std::string hash_of(const fs::path& log) { return log.parent_path().filename().string(); }

fs::path one_of(const job::Plan& plan, const std::map<fs::path, const job::Job*>& logs,
                const std::string& wanted) {
  if (logs.size() == 1) return logs.begin()->first;
  std::string list;
  size_t shown = 0;
  for (const auto& [log, job] : logs) {
    if (++shown > kShown) break;
    list += fmt::format("\n  {}  {}", hash_of(log), job::job_label(plan, *job));
  }
  if (logs.size() > kShown) list += fmt::format("\n  ... and {} more", logs.size() - kShown);
  throw Error(wanted.empty() ? fmt::format("{} jobs have a log", logs.size())
                             : fmt::format("{} jobs begin with `{}`", logs.size(), wanted),
              (wanted.empty() ? "state the id of one behind the file, or choose with --only:"
                              : "state more of the id:") +
                  list);
}

Json logs_json(const job::Plan& plan, const std::map<fs::path, const job::Job*>& logs,
               const std::vector<std::string>& only) {
  Json list = Json::array();
  for (const auto& [log, job] : logs) {
    const job::Attempts attempts = job::read_attempts(job::JobFolder{log.parent_path()}.attempts());
    Json points = Json::array();
    for (const job::JobPoint& point : job->points) points.push_back(point.id);
    list.push_back({{"job", hash_of(log)},
                    {"label", job::job_label(plan, *job)},
                    {"points", std::move(points)},
                    {"log", log.string()},
                    {"attempts", attempts.count},
                    {"outcome", attempts.last ? Json(attempts.last->outcome) : Json()},
                    {"reason", attempts.last ? Json(attempts.last->reason) : Json()},
                    {"text", read_file(log)}});
  }
  return {{"version", kJsonVersion},
          {"sweep", plan.sweep.name},
          {"results", plan.folder.string()},
          {"only", only},
          {"logs", std::move(list)}};
}

// Follows one log.
class Follower {
 public:
  Follower(const Look& look, fs::path log) : look_(look), log_(std::move(log)) {}

  int follow() {
    for (;;) {
      const std::string end = how_it_ended();  // before the last look at the log
      print_more();
      if (!end.empty()) {
        complain(fmt::format("{}: {}", look_.name(), end));
        return kAllDone;
      }
      std::this_thread::sleep_for(kPoll);
    }
  }

 private:
  void print_more() {
    std::error_code failed;
    const uintmax_t size = fs::file_size(log_, failed);
    if (failed || size == at_) return;
    if (size < at_) at_ = 0;  // another file
    std::ifstream in(log_, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(at_));
    std::string text(size - at_, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    at_ += text.size();
    print(text);
  }

  // "" while the attempt goes on.
  std::string how_it_ended() {
    const job::Attempts attempts =
        job::read_attempts(job::JobFolder{log_.parent_path()}.attempts());
    if (!attempts.last) return "";
    const job::Attempt& last = *attempts.last;
    if (!last.outcome.empty()) {
      return fmt::format("attempt {} ended: {}{}{}", last.number, last.outcome,
                         last.reason.empty() ? "" : ", ", last.reason);
    }
    if (at_work(look_.folder()) || (!last.place.empty() && is_on_cluster())) return "";
    return fmt::format("nobody is at work on attempt {}, which did not end", last.number);
  }

  // Slurm is asked now and then.
  bool is_on_cluster() {
    const auto now = std::chrono::steady_clock::now();
    if (on_cluster_ && now < ask_again_) return true;
    ask_again_ = now + kClusterPoll;
    slurm::Queue queue = queue_for(kPatience, std::chrono::milliseconds(0));
    const slurm::ClusterView cluster = slurm::cluster_view(look_.folder(), queue);
    on_cluster_ = cluster.open && cluster.jobs.contains(hash_of(log_));
    return on_cluster_;
  }

  const Look& look_;
  fs::path log_;
  uintmax_t at_ = 0;
  bool on_cluster_ = false;
  std::chrono::steady_clock::time_point ask_again_;
};

}  // namespace

int show_log(const Look& look) {
  const job::Plan plan = look.plan();
  const std::string& wanted = look.options().point;
  const auto logs = find_logs(plan, wanted);
  if (look.options().json) return print_json(logs_json(plan, logs, look.options().only));
  const fs::path log = one_of(plan, logs, wanted);
  return look.options().follow ? Follower(look, log).follow() : print(read_file(log));
}

}  // namespace tarflow::driver
