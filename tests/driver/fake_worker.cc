// Stands in for run_job where only scheduling is tested: writes a result that follows from the
// job's settings. The variable FAKE_WORKER holds "<what> <value>", or several of them: the job
// whose setting `value` is that one
//   fail      prints 30 lines and ends with status 3
//   crash     ends by SIGABRT
//   nothing   ends well without a result
//   missing   ends as a program does of which a library is missing
//   garbage   ends well with a result that is none
//   other     ends well with the result of another job
//   on_a100   ends well with a result that an A100 computed
//   late      writes its result and then ends by SIGABRT
//   fail_once as fail, at its first start only
//   stoppable says that it runs as `block` does; ends with status 75 when it is asked to
//   resumes   does a fourth of its work each time and is then as `stoppable`; goes on to its result
//   with the last
//   deaf      says that it runs and ignores that it is asked to end
//   wait_for_file  says that it runs, and goes on when the file FAKE_WORKER_FILE is there
//   environment  prints what it was started with
//   block     writes a half-written result and its process id to FAKE_WORKER_STARTED, then waits to
//   be killed
// Every start appends the job's hash to the file FAKE_WORKER_RUNS. A job that is stoppable or waits
// for a file also writes to `at_work` in its folder what it was started with.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <signal.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "framework/core/file.h"
#include "framework/job/job.h"
#include "framework/job/store.h"
#include "framework/record/record.h"

namespace tarflow {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// What FAKE_WORKER asks of this job; "" when it speaks of another one.
std::string behaviour(const job::Job& job) {
  std::istringstream words(variable("FAKE_WORKER"));
  std::string what;
  for (double value = 0; words >> what >> value;) {
    if (job.settings.json().value("value", -1.0) == value) return what;
  }
  return "";
}

record::JobRecord result_of(const job::Job& job) {
  const ExperimentSchemas schemas = read_experiment_schemas(variable("FAKE_WORKER_SCHEMAS"));
  const ExperimentSchema& schema = job::schema_of(schemas, job.experiment);
  record::JobRecord record;
  record.hash = job.hash;
  record.job = to_json(job);
  record.environment = {{"pid", ::getpid()}};
  record.columns = record::all_columns(schema);
  for (const job::JobPoint& point : job.points) {
    Json settings = job.settings.json();
    settings.update(point.settings.json());
    record::Row row = record::settings_row(schema, settings);
    row["point"] = point.id;
    row["experiment"] = job.experiment;
    row["result"] = settings.value("value", 0.0) * 10 + settings.value("lr", 0.0);
    row["seconds"] = static_cast<double>(::getpid());
    record.rows.push_back(std::move(row));
  }
  record.arrays = {record::make_array(
      "value", {1}, std::vector<double>{job.settings.json().value("value", 0.0)}, "", "v")};
  return record;
}

// Tells the test that the job runs, and in what surroundings.
void say_at_work(const std::filesystem::path& folder, const std::string& surroundings) {
  write_file(folder / "at_work", surroundings);
  write_file(variable("FAKE_WORKER_STARTED"), fmt::format("{}", ::getpid()));
}

// Until it is told to end; then it takes some time and says so, as a real worker does.
int work_until_stopped(const std::filesystem::path& folder, const std::string& surroundings) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  say_at_work(folder, surroundings);
  int signal = 0;
  ::sigwait(&signals, &signal);
  write_file(folder / "reached", "chunk 3");
  return 75;
}

// Keeps in its folder how far it is. Nothing when it is at its end.
std::optional<int> work_on(const std::filesystem::path& folder, const std::string& surroundings) {
  constexpr int kAll = 4;
  const std::filesystem::path kept = folder / "kept";
  const int begun = std::filesystem::exists(kept) ? std::stoi(read_file(kept)) : 0;
  if (begun + 1 == kAll) return std::nullopt;
  const auto tell = [&](int done) {
    write_json_file(folder / "progress.json", {{"done", done},
                                               {"total", kAll},
                                               {"done_before", begun / double{kAll}},
                                               {"resumable", true}});
  };
  tell(begun);
  const int status = work_until_stopped(folder, surroundings);
  write_file(kept, std::to_string(begun + 1));
  tell(begun + 1);
  return status;
}

// How often the job was started, this time included.
int starts_of(const job::Job& job) {
  std::ifstream runs(variable("FAKE_WORKER_RUNS"));
  int count = 0;
  for (std::string line; std::getline(runs, line);) count += line == job.hash;
  return count;
}

int work(const std::filesystem::path& folder, const std::string& arguments) {
  job::Job job = job::job_from_json(read_json_file(folder / "job.json"));
  std::ofstream(variable("FAKE_WORKER_RUNS"), std::ios::app) << job.hash << "\n";
  const std::string what = behaviour(job);
  if (what == "fail" || (what == "fail_once" && starts_of(job) == 1)) {
    for (int i = 0; i < 30; ++i) fmt::print("line {}\n", i);
    return 3;
  }
  const std::string surroundings =
      fmt::format("devices '{}' threads '{}' started with {}\n", variable("CUDA_VISIBLE_DEVICES"),
                  variable("OMP_NUM_THREADS"), arguments);
  if (what == "stoppable") return work_until_stopped(folder, surroundings);
  if (what == "resumes") {
    if (const std::optional<int> status = work_on(folder, surroundings)) return *status;
  }
  if (what == "deaf") {
    ::signal(SIGTERM, SIG_IGN);
    write_file(variable("FAKE_WORKER_STARTED"), fmt::format("{}", ::getpid()));
    for (;;) ::pause();
  }
  if (what == "wait_for_file") {
    say_at_work(folder, surroundings);
    while (!std::filesystem::exists(variable("FAKE_WORKER_FILE"))) ::usleep(5000);
  }
  if (what == "environment") fmt::print("{}", surroundings);
  if (what == "crash") ::raise(SIGABRT);
  if (what == "nothing") return 0;
  if (what == "missing") {
    fmt::print("error while loading shared libraries\n");
    return 127;
  }
  if (what == "block") {
    std::ofstream(folder / ".result.h5.123.part") << "half";
    write_file(variable("FAKE_WORKER_STARTED"), fmt::format("{}", ::getpid()));
    for (;;) ::pause();
  }
  if (what == "garbage") {
    std::ofstream(folder / "result.h5") << "garbage";
    return 0;
  }
  if (what == "other") job.hash = "0123456789abcdef";
  write_json_file(folder / "progress.json", {{"done", 1}, {"total", 1}, {"phase", "faking"}});
  job::clear_place({folder}, job::job_from_json(read_json_file(folder / "job.json")));
  record::JobRecord record = result_of(job);
  for (record::Row& row : record.rows)
    if (what == "on_a100") row["device"] = "NVIDIA A100-SXM4-80GB";
  record::write_job(folder / "result.h5", record);
  if (what == "late") ::raise(SIGABRT);
  return 0;
}

}  // namespace
}  // namespace tarflow

int main(int argc, char** argv) {
  // Whoever starts a worker says how many processes the job has, or who knows it: a cluster.
  const bool ranks = std::any_of(argv, argv + argc, [](const std::string& word) {
    return word == "--ranks" || word == "--ranks-from";
  });
  if (argc < 6 || std::string(argv[argc - 2]) != "--threads" || !ranks) return 64;
  std::string arguments;
  for (int i = 2; i < argc; ++i) arguments += std::string(i > 2 ? " " : "") + argv[i];
  try {
    return tarflow::work(argv[1], arguments);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "{}\n", failure.what());
    return 1;
  }
}
