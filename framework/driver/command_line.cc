#include "framework/driver/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "framework/core/error.h"
#include "framework/core/share.h"
#include "framework/core/version.h"
#include "framework/driver/help.h"
#include "framework/driver/subcommand_names.h"
#include "framework/driver/unknown_options.h"
#include "framework/slurm/cluster_profile_file.h"

namespace tarflow::driver {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kExamples = R"(Examples:
  run_sweep sweeps/demo.yaml                    run the points that are not done, then print the answer
  run_sweep plan sweeps/demo.yaml               what would run, why, and how long it will take
  run_sweep sweeps/demo.yaml --only cfg=1       run the points with cfg 1
  run_sweep sweeps/demo.yaml --set num_images=500
  run_sweep status sweeps/demo.yaml             the progress, from any other shell
  run_sweep sweeps/afhq.yaml --smoke            try it from end to end with 2 images per point
  run_sweep plan --help                         the options of plan
  run_sweep --help strategies                   one topic; `--help topics` lists them

Results: results/NAME.h5 for the sweep, results/NAME/jobs/HASH/ for each job with its log. Finished points are
skipped, also after a change of the file. Ctrl-C stops running jobs and lets nearly finished jobs end; the same command
continues from there. A second Ctrl-C ends at once.

A sweep file that is named like a subcommand: ./plan, or run_sweep run plan.

Exit status: 0 all done, or what was asked for is printed; 1 something failed, cannot run or cannot be read (the
message names it; the rest is done); 2 bad input (nothing was run); 3 another run_sweep works on the sweep;
130 stopped.
)";

// What the parser fills in for each of its subcommands.
class Parser {
 public:
  explicit Parser(RunOptions& options) : options_(options), app_(kPurpose, "run_sweep") {
    app_.require_subcommand(1);
    for (const Subcommand& known : kSubcommands) add(known);
  }

  // Throws CLI::ParseError.
  void parse(Words words) {
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    app_.parse(std::move(words));
  }

  // "--set", ...
  Words options_of(const std::string& subcommand) const {
    Words names = {"-h", "--help"};
    for (const CLI::Option* option : app_.get_subcommand(subcommand)->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
  }

  std::string help() const {
    std::string text = fmt::format(
        "{}\n\nUsage: run_sweep FILE... [OPTIONS]\n       run_sweep SUBCOMMAND FILE... "
        "[OPTIONS]\n\nSubcommands (run_sweep SUBCOMMAND --help has the options of each):\n",
        kPurpose);
    for (const Subcommand& known : kSubcommands) {
      if (*known.what) text += fmt::format("  {:<8} {}\n", known.name, known.what);
    }
    const CLI::App* run = app_.get_subcommand("run");
    return fmt::format("{}\nrun, which a FILE alone means:{}\n{}", text,
                       CLI::Formatter().make_groups(run, CLI::AppFormatMode::Normal),
                       older_flags() + kExamples);
  }
  std::string help_of(const std::string& subcommand) const {
    return app_.get_subcommand(subcommand)->help("run_sweep");
  }

 private:
  static constexpr const char* kPurpose =
      "Runs the experiments of sweep files (YAML): validates, plans jobs, runs each in a worker "
      "process.";

  static std::string older_flags() {
    std::string text = "Older flags, with a FILE and no subcommand:\n";
    for (const OlderFlag& flag : kOlderFlags) {
      if (!*subcommand_named(flag.subcommand)->what) continue;
      text += fmt::format("  {:<17} {}{}{}\n",
                          fmt::format("{}{}", flag.flag, flag.value ? " POINT" : ""),
                          flag.subcommand, *flag.option ? " " : "", flag.option);
    }
    return text + "\n";
  }

  void add(const Subcommand& known) {
    CLI::App& app = *app_.add_subcommand(known.name, known.what);
    const Action action = known.action;
    if (!*known.what) app.group("");
    // For the list of options: read_command_line answers it wherever it stands.
    app.set_version_flag("--version", version_text("run_sweep"),
                         "print version, git revision and variant of this program");
    if (action == Action::kClusterTask) {
      app.add_option("folder", options_.cluster_task, "the folder of a submission")->required();
    } else if (action == Action::kCheck) {
      add_cluster(app);
    } else if (action != Action::kSchema) {
      add_sweeps(app, action);
    }
    if (action == Action::kPlan || action == Action::kStatus || action == Action::kLog) {
      app.add_flag(
          "--json", options_.json,
          "print one line of JSON per sweep and nothing else (docs/sweeps.md has its keys)");
    }
    if (action == Action::kRun) add_run(app);
    if (action == Action::kPlan) add_plan(app);
    if (action == Action::kLog) add_log(app);
    if (action == Action::kClean) add_clean(app);
    app.add_option("--programs", options_.programs,
                   "folder with run_job and analyze (default: this program's)");
    app.parse_complete_callback([this, action] { options_.action = action; });
  }

  void add_sweeps(CLI::App& app, Action action) {
    CLI::Option* files = app.add_option("files", options_.files, "sweep files (YAML)")
                             ->required()
                             ->type_name("FILE");
    if (action == Action::kLog) files->expected(1)->allow_extra_args(false);
    if (action != Action::kClean) {
      app.add_option("--only", options_.only,
                     "only the points that match, also `cfg>=1`, `model=a,b`; may be repeated")
          ->type_name("KEY=VALUE")
          ->allow_extra_args(false);
      app.add_option("--set", options_.set, "replace a value of the file, YAML; may be repeated")
          ->type_name("KEY=VALUE")
          ->allow_extra_args(false);
    }
    app.add_flag("--smoke", options_.smoke,
                 action == Action::kRun
                     ? "a trial: run with 2 images per point, into results of its own; what is "
                       "absent is replaced, and it says so"
                     : "look at the trial run (run --smoke) in place of the sweep");
    app.add_flag("--adopt", options_.adopt,
                 "take over results that belong to another sweep file of the same name");
    add_cluster(app);
  }

  void add_cluster(CLI::App& app) {
    app.add_option("--cluster", options_.cluster,
                   "cluster profile, by name or file, or `none` for this machine (default: "
                   "cluster.yaml in the folder for tarflow's settings, else in $TARFLOW_SITE or "
                   "/etc/tarflow, if there is one)");
    app.add_option("--results", options_.results, "folder for results")->capture_default_str();
  }

  CLI::Option* add_choice(CLI::App& app) {
    CLI::Option* force = app.add_flag("--force", options_.force, "compute finished points again");
    app.add_flag("--retry-failed", options_.retry_failed, "only jobs whose last attempt failed")
        ->excludes(force);
    return force;
  }

  void add_run(CLI::App& app) {
    add_choice(app);
    app.add_flag("--tables", options_.tables,
                 "at the end print all tables, as `analyze` does, instead of the answer in short");
    app.add_flag("--wait", options_.wait,
                 "on a cluster: wait until all jobs have ended, submit again what failed by no "
                 "fault of its own, then print the answer");
  }

  void add_plan(CLI::App& app) {
    add_choice(app);
    app.add_flag("--list", options_.list,
                 "one line per job: id, pending, done or cannot-run, points, label")
        ->excludes(app.get_option("--json"));
  }

  void add_clean(CLI::App& app) {
    app.add_flag("--yes", options_.yes, "do not ask");
    app.add_flag("--set-calls", options_.set_calls,
                 "delete also the results of earlier calls with --set, which are kept otherwise");
  }

  void add_log(CLI::App& app) {
    app.add_option("point", options_.point,
                   "id of a point or a job, or how it begins; not needed where one job has a log")
        ->type_name("POINT");
    app.add_flag("--follow", options_.follow,
                 "print what is added, until the attempt ends or nobody works on it")
        ->excludes(app.get_option("--json"));
  }

  RunOptions& options_;
  CLI::App app_;
};

// `--smoke status FILE` as `status --smoke FILE`.
Words subcommand_first(Words words) {
  const std::optional<size_t> first = first_file(words);
  if (first && subcommand_named(words[*first]) != nullptr) {
    const auto subcommand = words.begin() + static_cast<std::ptrdiff_t>(*first);
    std::rotate(words.begin(), subcommand, subcommand + 1);
  }
  return words;
}

// The topic behind `--help`, "" without one; nothing when no help is asked for.
std::optional<std::string> help_topic(const Words& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") break;
    if (words[i] == "--help" || words[i] == "-h") return i + 1 < words.size() ? words[i + 1] : "";
  }
  return std::nullopt;
}

// Whether --version stands anywhere but as the value of an option.
bool asks_version(const Words& words) {
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (words[i] == "--version") return true;
    if (takes_value(words[i])) ++i;
  }
  return false;
}

std::string help_text(const Words& words, const std::string& topic, const Parser& parser,
                      const RunOptions& options) {
  const Subcommand* of = subcommand_named(topic.empty() ? words[0] : topic);
  // `--help run` is the topic of that name: what stands under `run:` in a sweep.
  if (of != nullptr && topic != "run") return parser.help_of(of->name);
  return topic.empty() || topic == kSubcommandsTopic ? parser.help() : help_on(topic, options);
}

// What a subcommand does not take though others do, and why.
std::string why_not(const std::string& subcommand, const std::string& option) {
  if (subcommand == "clean" && (option == "--set" || option == "--only")) {
    return "clean looks at the whole sweep; with --set and --only the results of its other points "
           "would look unused";
  }
  return "";
}

OwnOptions own_options(const Parser& parser, const std::string& subcommand) {
  OwnOptions own{subcommand, parser.options_of(subcommand), {}, why_not};
  for (const OlderFlag& flag : kOlderFlags) own.names.emplace_back(flag.flag);
  for (const Subcommand& other : kSubcommands) {
    if (subcommand == other.name || !*other.what) continue;
    for (const std::string& name : parser.options_of(other.name)) {
      own.elsewhere[name].emplace_back(other.name);
    }
  }
  return own;
}

// check and schema are not about sweeps.
void require_no_files(const Words& words, const std::string& subcommand) {
  const bool alone = subcommand == "check" || subcommand == "schema";
  const std::optional<size_t> file = alone ? first_file(words) : std::nullopt;
  if (!file) return;
  const std::string& name = words[*file];
  const std::string plan = fmt::format("run_sweep plan {}", name);
  if (subcommand == "schema") {
    throw Error(fmt::format("schema takes no sweep file such as {}: the schema is of all", name),
                "leave it out");
  }
  throw Error(fmt::format("check takes no sweep file such as {}: it asks the cluster about the "
                          "profile alone",
                          name),
              fmt::format("leave it out; {} shows what the sweep would ask the cluster for", plan));
}

[[noreturn]] void explain(const CLI::ParseError& error, const Words& words,
                          const std::string& subcommand) {
  std::string what = error.what();
  const bool bare = words.empty() || subcommand_named(words[0]) == nullptr;
  std::string repair = fmt::format("run_sweep {}--help lists {}", bare ? "" : subcommand + " ",
                                   bare ? "all there is" : "its options");
  if (error.get_name() == "RequiredError" && what.starts_with("files")) {
    what = fmt::format("run_sweep{} needs a sweep file", bare ? "" : " " + subcommand);
    std::error_code ignored;
    if (!bare && std::filesystem::exists(words[0], ignored)) {
      repair = fmt::format("to run the file {} write run_sweep ./{}", words[0], words[0]);
    }
  }
  if (error.get_name() == "ArgumentMismatch" && subcommand == "log" && what.starts_with("files"))
    what = "run_sweep log takes one sweep file and one point or job";
  throw Error(what, repair);
}

}  // namespace

Words with_subcommand(const Words& typed) {
  const Words words = subcommand_first(typed);
  if (!words.empty() && subcommand_named(words[0]) != nullptr) {
    require_no_older_flag(words);
    return words;
  }
  Words left;
  const OlderFlag* found = nullptr;
  std::optional<std::string> value;
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const OlderFlag* flag = older_flag_named(words[i].substr(0, equals));
    if (words[i] == "--") {
      left.insert(left.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    if (flag == nullptr || (equals != std::string::npos && !flag->value)) {
      left.push_back(words[i]);
      if (takes_value(words[i]) && i + 1 < words.size()) left.push_back(words[++i]);
      continue;
    }
    if (found != nullptr && found != flag) {
      throw Error(fmt::format("{} and {} are two things to do", found->flag, flag->flag),
                  "give one command for each");
    }
    found = flag;
    if (equals != std::string::npos) {
      value = words[i].substr(equals + 1);
    } else if (flag->value) {
      if (i + 1 == words.size()) throw Error(fmt::format("{} needs a value", flag->flag));
      value = words[++i];
    }
  }
  left.insert(left.begin(), found != nullptr ? found->subcommand : "run");
  if (found != nullptr && *found->option) left.insert(left.begin() + 1, found->option);
  if (value) left.push_back(*value);
  return left;
}

CommandLine read_command_line(const Words& typed, const std::filesystem::path& programs) {
  const Words words = subcommand_first(typed);
  CommandLine line;
  RunOptions& options = line.options;
  Parser parser(options);
  options.config_folder = slurm::config_folder();
  options.programs = programs;
  if (const auto topic = help_topic(words)) {
    line.help = help_text(words, *topic, parser, options);
    return line;
  }
  if (asks_version(words)) {
    line.help = version_text("run_sweep") + "\n";
    return line;
  }
  const std::filesystem::path shipped = share_folder(programs) / "sweeps";
  require_no_slip(words, shipped);
  const Words full = with_subcommand(words);
  const std::string& subcommand = full[0];
  // A task has its profile from the submission, and its node need not see the site's folder.
  if (subcommand_named(subcommand)->action != Action::kClusterTask)
    options.site_folder = site_folder();
  require_own_options(words, own_options(parser, subcommand));
  require_no_files({full.begin() + 1, full.end()}, subcommand);
  try {
    parser.parse(full);
  } catch (const CLI::ParseError& error) {
    explain(error, words, subcommand);
  }
  require_sweep_files(words, options.files, shipped);
  return line;
}

}  // namespace tarflow::driver
