// run_sweep: from a sweep file to its tables.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/arguments.h"
#include "framework/core/error.h"
#include "framework/core/share.h"
#include "framework/driver/habits.h"
#include "framework/driver/help.h"
#include "framework/driver/run.h"
#include "framework/driver/slurm_run.h"
#include "framework/slurm/cluster_profile_file.h"
#include "framework/slurm/task.h"

namespace tarflow::driver {
namespace {

constexpr const char* kExamples = R"(Examples:
  run_sweep sweeps/demo.yaml                    run the points that are not done, then print the answer
  run_sweep sweeps/demo.yaml --dry-run          list points, jobs, finished work and expected time
  run_sweep sweeps/demo.yaml --only cfg=1       run the points with cfg 1
  run_sweep sweeps/demo.yaml --set num_images=500
  run_sweep sweeps/demo.yaml --status           the progress, from any other shell
  run_sweep sweeps/afhq.yaml --smoke            try it from end to end with 2 images per point
  run_sweep --help strategies                   one topic; `--help topics` lists them

Results: results/NAME.h5 for the sweep, results/NAME/jobs/HASH/ for each job with its log. Finished points are
skipped, also after a change of the file. Ctrl-C stops running jobs and lets nearly finished jobs end; the same command
continues from there. A second Ctrl-C ends at once.
process::Exit status: 0 all done, 1 something failed, cannot run or cannot be read (the message names it; the rest is done),
2 bad input (nothing was run), 3 another run_sweep works on the sweep, 130 stopped.)";

// Flags of which one at most may be given.
struct Actions {
  bool dry_run = false, list = false, status = false, watch = false, cancel = false, clean = false;
  bool print_schema = false, check = false;
};

void add_options(CLI::App& app, RunOptions& options, Actions& actions) {
  app.add_option("files", options.files, "sweep files (YAML)");
  CLI::Option_group* group = app.add_option_group("action", "What to do instead of running");
  group->add_flag("--dry-run", actions.dry_run,
                  "list points, jobs, finished work and expected time; run nothing");
  group->add_flag("--list-jobs", actions.list, "print one line per job");
  group->add_flag("--status", actions.status, "print the progress of the sweep");
  group->add_flag("--watch", actions.watch,
                  "like --status, every two seconds while the sweep runs");
  group->add_option("--log", options.point,
                    "print the log of the job with this point (id, or its beginning)");
  group->add_flag("--cancel", actions.cancel,
                  "stop the running run_sweep of this sweep and cancel its jobs on the cluster; "
                  "with --only: only "
                  "the jobs of these points");
  group->add_flag("--clean", actions.clean, "delete job folders that no point uses, after asking");
  group->add_flag(
      "--check", actions.check,
      "print whether the cluster has what the profile asks for, and whether results can "
      "be written; nothing is submitted, and no sweep is needed");
  group->add_flag("--print-schema", actions.print_schema,
                  "print the JSON Schema of sweep files, for editors");
  group->require_option(0, 1);
  app.add_flag("--smoke", options.smoke,
               "a trial: run with 2 images per point, into results of its own; what is absent is "
               "replaced, and it says so; with --dry-run, --status, --cancel and the like: of that "
               "trial");
  app.add_option("--set", options.set,
                 "KEY=VALUE (YAML): replace a value of the file; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--only", options.only,
                 "KEY=VALUE: run (or --cancel, --list-jobs) only these points; may be repeated")
      ->allow_extra_args(false);
  CLI::Option* force = app.add_flag("--force", options.force, "compute finished points again");
  app.add_flag("--retry-failed", options.retry_failed, "run only jobs whose last attempt failed")
      ->excludes(force);
  app.add_flag("--tables", options.tables,
               "at the end print all tables, as `analyze` does, instead of the answer in short");
  app.add_flag("--adopt", options.adopt,
               "take over results that belong to another sweep file of the same name");
  app.add_flag("--yes", options.yes, "with --clean: do not ask");
  app.add_option(
      "--cluster", options.cluster,
      "cluster profile, by name or file, or `none` for this machine (default: "
      "cluster.yaml in the folder for tarflow's settings or in /etc/tarflow, if there is "
      "one)");
  app.add_flag("--wait", options.wait,
               "on a cluster: wait until all jobs have ended, submit again what failed by no fault "
               "of its own, then print the answer");
  app.add_option("--results", options.results, "folder for results")->capture_default_str();
  app.add_option("--programs", options.programs,
                 "folder with run_job and analyze (default: this program's)");
  app.add_option("--cluster-task", options.cluster_task,
                 "run the jobs of one task of a job array; the sbatch file of a submission does so")
      ->group("");
}

Action action_of(const Actions& actions, const RunOptions& options) {
  if (actions.dry_run) return Action::kDryRun;
  if (actions.list) return Action::kListJobs;
  if (actions.status) return Action::kStatus;
  if (actions.watch) return Action::kWatch;
  if (actions.cancel) return Action::kCancel;
  if (actions.clean) return Action::kClean;
  return options.point.empty() ? Action::kRun : Action::kLog;
}

std::string command_line(int argc, char** argv) {
  std::string line = std::filesystem::path(argv[0]).filename().string();
  for (int i = 1; i < argc; ++i) line += fmt::format(" {}", argv[i]);
  return line;
}

// "--set", ...: of the program and of its groups.
std::vector<std::string> names_of_options(const CLI::App& app) {
  std::vector<std::string> names = {"-h", "--help"};
  const auto add = [&](const CLI::App& owner) {
    for (const CLI::Option* option : owner.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  };
  add(app);
  for (const CLI::App* group : app.get_subcommands([](const CLI::App*) { return true; }))
    add(*group);
  return names;
}

// `--help`, or `--help TOPIC` anywhere; nothing when no help is asked for.
std::optional<std::string> help_topic(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help" || word == "-h") return i + 1 < argc ? argv[i + 1] : "";
  }
  return std::nullopt;
}

int main_of(int argc, char** argv) {
  RunOptions options;
  Actions actions;
  CLI::App app(
      "Runs the experiments of sweep files (YAML): validates, plans jobs, runs each in a worker "
      "process.");
  app.name("run_sweep");
  require_plain_arguments(argc, argv);
  app.footer(kExamples);
  add_options(app, options, actions);
  options.command = command_line(argc, argv);
  options.config_folder = slurm::config_folder();
  options.site_folder = site_folder();
  options.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  if (const auto topic = help_topic(argc, argv)) {
    fmt::print("{}", topic->empty() ? app.help() : help_on(*topic, options));
    return kAllDone;
  }
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  require_own_options(arguments, names_of_options(app));
  try {
    app.parse(argc, argv);
    if (options.files.empty() && options.cluster_task.empty() && !actions.print_schema &&
        !actions.check)
      throw CLI::RequiredError("files");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadInput;
  }
  if (actions.print_schema) {
    fmt::print("{}", schema_text(options));
    return kAllDone;
  }
  if (actions.check) return check_cluster(options);
  require_sweep_files(arguments, options.files);
  if (!options.cluster_task.empty()) return slurm::run_cluster_task(options.cluster_task);
  options.action = action_of(actions, options);
  // `run_sweep ... | head` must not end the jobs with the pipe.
  if (options.action == Action::kRun) ::signal(SIGPIPE, SIG_IGN);
  return run_sweeps(options);
}

}  // namespace
}  // namespace tarflow::driver

int main(int argc, char** argv) {
  try {
    return tarflow::driver::main_of(argc, argv);
  } catch (const std::exception& failure) {
    std::fflush(stdout);
    fmt::print(stderr, "error: {}\n", failure.what());
    return tarflow::driver::kBadInput;
  }
}
