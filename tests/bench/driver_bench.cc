// Seconds that run_sweep takes to look at a sweep of many finished jobs and to merge them:
//   bench_driver RUN_SWEEP FOLDER [JOBS]
// makes a sweep of JOBS (10000) with a result each in FOLDER, keeps one that is there already, and
// times the program RUN_SWEEP on it: at its first look, which reads all results, and at later ones;
// the merge of all, of none and of ten that have changed.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "framework/job/plan.h"
#include "framework/record/record.h"
#include "framework/sweep/sweep.h"
#include "tests/support/house.h"

namespace tarflow {
namespace {

namespace fs = std::filesystem;

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// A subcommand of run_sweep, and its arguments.
void timed(const std::string& what, const fs::path& program, const std::string& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string line = fmt::format("exec {} --programs bin --cluster none {} >out.txt 2>&1",
                                         program.string(), arguments);
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(99);
  }
  int status = 0;
  rusage used{};
  ::wait4(child, &status, 0, &used);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("{:<32} {:6.2f} s, user {:5.2f} s, system {:5.2f} s, {} MiB{}\n", what, took.count(),
             seconds(used.ru_utime), seconds(used.ru_stime), used.ru_maxrss >> 10,
             status == 0 ? "" : ", FAILED: see out.txt");
}

void write_result(const job::JobFolder& folder, const job::Job& job, double value) {
  record::JobRecord record;
  record.hash = job.hash;
  record.job = to_json(job);
  record.environment = {{"host", "node"}};
  record.columns = record::all_columns(measure_schema());
  for (const job::JobPoint& point : job.points) {
    record::Row row = record::settings_row(measure_schema(), job.settings.json());
    row["point"] = point.id;
    row["experiment"] = job.experiment;
    row["result"] = value;
    record.rows.push_back(std::move(row));
  }
  write_json_file(folder.job(), to_json(job));
  record::write_job(folder.result(), record);
}

job::Jobs plan_in(const fs::path& house, const ExperimentSchemas& schemas) {
  job::JobStore store(house / "results/many");
  job::PlanOptions options;
  options.results = house / "results";
  return job::make_plan(sweep::load_sweep(house / "many.yaml", schemas, {}), schemas, options,
                        store, [](const std::string&) {})
      .all;
}

void run(const fs::path& program, const fs::path& house, int count) {
  const ExperimentSchemas schemas{measure_schema()};
  fs::create_directories(house / "bin");
  for (const char* name : {"run_job", "analyze"}) {
    write_file(house / "bin" / name, "#!/bin/sh\n");
    fs::permissions(house / "bin" / name, fs::perms::owner_all);
  }
  write_json_file(house / "share/experiments.json", to_json(schemas));
  std::string values;
  for (int i = 0; i < count; ++i) values += fmt::format("{}{}", i > 0 ? ", " : "", i);
  write_file(house / "many.yaml",
             fmt::format("experiments:\n  - measure:\n      grid: {{value: [{}]}}\n", values));
  const job::Jobs jobs = plan_in(house, schemas);
  for (const job::Job& job : jobs) {
    const job::JobFolder folder{house / "results/many/jobs" / job.hash};
    if (!fs::exists(folder.result())) write_result(folder, job, 1);
  }
  fs::remove(house / "results/many/index.json");
  fs::remove(house / "results/many.h5");
  ::sleep(3);  // the stamps of the results are settled
  fs::current_path(house);
  timed("status, the first time", program, "status many.yaml");
  timed("status", program, "status many.yaml");
  timed("status --json", program, "status many.yaml --json");
  timed("plan", program, "plan many.yaml");
  timed("merge of all", program, "many.yaml");
  timed("merge of none", program, "many.yaml");
  for (size_t i = 0; i < 10; ++i) {
    write_result({house / "results/many/jobs" / jobs[i * jobs.size() / 10].hash},
                 jobs[i * jobs.size() / 10], 2);
  }
  timed("merge of ten", program, "many.yaml");
}

}  // namespace
}  // namespace tarflow

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: bench_driver RUN_SWEEP FOLDER [JOBS]\n");
    return 2;
  }
  const int count = argc > 3 ? std::atoi(argv[3]) : 10000;
  tarflow::run(std::filesystem::absolute(argv[1]), argv[2], count);
}
