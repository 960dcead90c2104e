// run_sweep: from a sweep file to its tables.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "framework/core/error.h"
#include "framework/schedule/run.h"

namespace {

constexpr const char* kExamples = R"(Examples:
  run_sweep sweeps/demo.yaml                 run what is not done yet, then print the tables
  run_sweep sweeps/demo.yaml --dry-run       show points, jobs, what is done and what cannot run
  run_sweep sweeps/afhq.yaml --smoke         try it end to end with 2 images a point
  run_sweep a.yaml b.yaml --results /data/r  two sweeps, results in /data/r

Results: results/NAME.h5 for the sweep, results/NAME/jobs/HASH/ for each job with its log. Points that are done
are skipped, also after a change of the file; Ctrl-C and crashes cost the running job only.
Exit status: 0 all done, 1 something failed (the message says what; the rest is done), 2 bad input (nothing was
run), 130 Ctrl-C.)";

}  // namespace

int main(int argc, char** argv) {
  tarflow::schedule::RunOptions options;
  CLI::App app(
      "Runs the experiments of sweep files (YAML): validates, plans jobs, runs each in a worker "
      "process.");
  app.name("run_sweep");
  app.footer(kExamples);
  app.add_option("files", options.files, "sweep files")->required();
  const auto dry_run =
      app.add_flag("--dry-run", options.dry_run, "print what would be done, and run nothing");
  const auto list =
      app.add_flag("--list-jobs", options.list_jobs, "print one line a job, and run nothing");
  app.add_flag(
         "--smoke", options.smoke,
         "2 images a point, into results of its own; what is absent is replaced, and it says so")
      ->excludes(dry_run)
      ->excludes(list);
  dry_run->excludes(list);
  app.add_option("--results", options.results, "folder for results")->capture_default_str();
  app.add_option("--programs", options.programs,
                 "folder with run_job and analyze, share/experiments.json beside it (default: this "
                 "program's)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : tarflow::schedule::kBadInput;
  }
  try {
    if (options.programs.empty()) {
      options.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    }
    return tarflow::schedule::run_sweeps(options);
  } catch (const std::exception& failure) {
    std::fflush(stdout);
    fmt::print(stderr, "error: {}\n", failure.what());
    return tarflow::schedule::kBadInput;
  }
}
