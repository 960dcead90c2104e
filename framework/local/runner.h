// Jobs on this machine: as many at once as its devices take, each in a process of its own and no
// longer than it may.
#pragma once

#include <chrono>
#include <exception>
#include <filesystem>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "framework/job/execute.h"
#include "framework/job/executor.h"
#include "framework/local/pool.h"

namespace tarflow::local {

struct RunnerOptions {
  std::filesystem::path jobs_folder, worker;
  std::chrono::milliseconds grace = std::chrono::seconds(60);  // between asking and killing
};

class Runner : public job::Executor {
 public:
  Runner(RunnerOptions options, Pool pool);

  std::vector<job::Event> submit(std::vector<job::Task> tasks) override;
  // A job whose folder cannot be used fails alone; throws Error when several in a row do.
  std::vector<job::Event> poll() override;
  void cancel(const std::set<std::string>& hashes, const std::string& why) override;
  void kill() override;
  void hold_timed(bool held) override { timed_held_ = held; }

 private:
  struct Running {
    job::Task task;
    Allocation allocation;
    job::Attempting attempt;
  };

  void start_what_fits(std::vector<job::Event>& events);
  job::Event start(const job::Task& task, const Allocation& allocation);
  job::Launch launch_for(const job::Task& task, const Allocation& allocation) const;
  // What became of it; nothing while it runs.
  std::optional<job::Event> look_after(Running& running);

  RunnerOptions options_;
  Pool pool_;
  std::map<size_t, job::Task> waiting_;  // by their turns
  std::list<Running> running_;
  bool timed_held_ = false;
  int refused_starts_ = 0;     // in a row
  std::exception_ptr broken_;  // why nothing can go on
};

}  // namespace tarflow::local
