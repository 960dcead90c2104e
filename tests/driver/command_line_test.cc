// The words of run_sweep: subcommands, what each takes, and the older flags.
#include "framework/driver/command_line.h"

#include "framework/core/error.h"
#include "framework/core/version.h"
#include "framework/driver/subcommand_names.h"
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

TEST(CommandLine, AnOlderFlagIsASubcommand) {
  EXPECT_EQ(with_subcommand({"a.yaml"}), (Words{"run", "a.yaml"}));
  EXPECT_EQ(with_subcommand({"a.yaml", "--dry-run", "--only", "cfg=1"}),
            (Words{"plan", "a.yaml", "--only", "cfg=1"}));
  EXPECT_EQ(with_subcommand({"--list-jobs", "a.yaml"}), (Words{"plan", "--list", "a.yaml"}));
  EXPECT_EQ(with_subcommand({"--log", "0123", "a.yaml"}), (Words{"log", "a.yaml", "0123"}));
  EXPECT_EQ(with_subcommand({"a.yaml", "--log=0123"}), (Words{"log", "a.yaml", "0123"}));
  EXPECT_EQ(with_subcommand({"--print-schema"}), Words{"schema"});
  EXPECT_EQ(with_subcommand({"--cluster-task", "folder"}), (Words{"cluster-task", "folder"}));
  EXPECT_EQ(with_subcommand({"status", "a.yaml"}), (Words{"status", "a.yaml"}));
  EXPECT_EQ(with_subcommand({"--results", "plan", "status", "a.yaml"}),
            (Words{"status", "--results", "plan", "a.yaml"}));
}

TEST(CommandLine, TheVersionIsThatOfTheBuildWhereverItIsAskedFor) {
  const Build& build = this_build();
  for (const Words& words :
       {Words{"--version"}, Words{"status", "--version"}, Words{"a.yaml", "--version"}}) {
    EXPECT_THAT(read_command_line(words, "bin").help,
                AllOf(HasSubstr("run_sweep " + build.version + " of tarflow-sampling\n"),
                      HasSubstr("\ngit revision: " + build.git_revision),
                      HasSubstr("\nvariant: " + build.variant + "\n"), Not(HasSubstr("LibTorch"))))
        << words.front();
  }
  EXPECT_THAT(read_command_line({"--help"}, "bin").help, HasSubstr("--version"));
  EXPECT_EQ(read_command_line({"a.yaml", "--set", "--version"}, "bin").help, "")
      << "it is a value there";
}

TEST(CommandLine, ValuesOfOptionsAreNoFlags) {
  EXPECT_EQ(with_subcommand({"a.yaml", "--set", "--status"}),
            (Words{"run", "a.yaml", "--set", "--status"}));
  EXPECT_EQ(with_subcommand({"--", "--status"}), (Words{"run", "--", "--status"}));
}

TEST(CommandLine, TwoThingsAtOnceAreRefused) {
  for (const Words& words :
       {Words{"a.yaml", "--status", "--watch"}, Words{"--dry-run", "a.yaml", "--list-jobs"},
        Words{"status", "a.yaml", "--dry-run"}, Words{"run", "a.yaml", "--log", "x"}}) {
    EXPECT_THROW(with_subcommand(words), Error);
  }
}

TEST(CommandLine, ASweepFileNamedAsASubcommandIsReachable) {
  const auto files = [](const Words& words) { return read_command_line(words, "bin").options; };
  for (const Words& words : {Words{"run", "plan"}, Words{"./plan"}, Words{"--", "plan"},
                             Words{"run", "--", "plan"}, Words{"--force", "run", "plan"}}) {
    const RunOptions options = files(words);
    EXPECT_EQ(options.action, Action::kRun) << words.front();
    ASSERT_EQ(options.files.size(), 1u) << words.front();
    EXPECT_EQ(options.files[0].filename(), "plan");
  }
  const RunOptions plan = files({"plan", "plan"});
  EXPECT_EQ(plan.action, Action::kPlan);
  EXPECT_THAT(plan.files, ElementsAre("plan"));
}

// What is said of words that are refused; "" when they are taken.
std::string said_of(const Words& words) {
  try {
    read_command_line(words, "bin");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CommandLine, WhatMeansNothingForASubcommandIsRefusedWithTheLineWithoutIt) {
  EXPECT_THAT(said_of({"status", "a.yaml", "--force"}),
              AllOf(HasSubstr("status has no option --force: it belongs to run, plan"),
                    HasSubstr("write run_sweep status a.yaml")));
  EXPECT_THAT(said_of({"a.yaml", "--status", "--wait"}),
              AllOf(HasSubstr("status has no option --wait: it belongs to run"),
                    HasSubstr("write run_sweep a.yaml --status")));
  EXPECT_THAT(said_of({"a.yaml", "--json"}),
              AllOf(HasSubstr("it belongs to plan, status, log"),
                    HasSubstr("write run_sweep plan a.yaml --json\n"),
                    HasSubstr("or run_sweep status a.yaml --json\n")));
  EXPECT_THAT(said_of({"clean", "a.yaml", "--only", "cfg=1"}),
              AllOf(HasSubstr("would look unused"), HasSubstr("write run_sweep clean a.yaml")));
  EXPECT_THAT(said_of({"a.yaml", "--preview", "--smoke"}),
              HasSubstr("write run_sweep plan a.yaml --smoke"));
  EXPECT_THAT(said_of({"run", "a.yaml", "--status"}), HasSubstr("write run_sweep status a.yaml"));
  EXPECT_THAT(said_of({"a.yaml", "b.yaml", "status"}),
              HasSubstr("write run_sweep status a.yaml b.yaml"));
}

TEST(CommandLine, CheckAndSchemaTakeNoSweep) {
  for (const Words& words : {Words{"check", "a.yaml"}, Words{"a.yaml", "--check"}}) {
    EXPECT_THAT(said_of(words), AllOf(HasSubstr("check takes no sweep file such as a.yaml"),
                                      HasSubstr("run_sweep plan a.yaml")));
  }
  EXPECT_THAT(said_of({"--check", "--only", "cfg=1"}), HasSubstr("check has no option --only"));
  EXPECT_THAT(said_of({"--check", "--set", "cfg=1"}), HasSubstr("check has no option --set"));
  EXPECT_THAT(said_of({"schema", "a.yaml"}), HasSubstr("schema takes no sweep file"));
  EXPECT_EQ(said_of({"--check", "--cluster", "lab"}), "");
}

TEST(CommandLine, WhatIsLackingIsNamed) {
  EXPECT_THAT(said_of({}), HasSubstr("run_sweep needs a sweep file"));
  EXPECT_THAT(said_of({"status"}), HasSubstr("run_sweep status needs a sweep file"));
  EXPECT_THAT(said_of({"plan", "a.yaml", "--force", "--retry-failed"}), HasSubstr("excludes"));
  EXPECT_THAT(said_of({"a.yaml", "--log"}), HasSubstr("--log needs a value"));
  EXPECT_THAT(said_of({"log", "a.yaml", "1", "2"}), HasSubstr("not expected"));
}

TEST(CommandLine, HelpNamesSubcommandsOlderFlagsAndExitStatuses) {
  const std::string help = read_command_line({"--help"}, "bin").help;
  for (const Subcommand& known : kSubcommands) {
    if (!*known.what) continue;
    EXPECT_THAT(help, HasSubstr(fmt::format("  {:<8} {}", known.name, known.what)));
  }
  for (const OlderFlag& flag : kOlderFlags) {
    if (*subcommand_named(flag.subcommand)->what) {
      EXPECT_THAT(help, HasSubstr(flag.flag));
    }
  }
  EXPECT_THAT(help, AllOf(Not(HasSubstr("cluster-task")), HasSubstr("--retry-failed"),
                          HasSubstr("3 another run_sweep"), HasSubstr("130 stopped")));
  EXPECT_EQ(read_command_line({"--help", "subcommands"}, "bin").help, help);
  const std::string status = read_command_line({"status", "--help"}, "bin").help;
  EXPECT_THAT(status,
              AllOf(HasSubstr("run_sweep status"), HasSubstr("--json"), Not(HasSubstr("--force"))));
}

TEST_F(RunSweep, SubcommandsAreTheOlderFlags) {
  for (const auto& [subcommand, flags] :
       std::map<std::string, std::string>{{"plan demo.yaml", "demo.yaml --dry-run"},
                                          {"plan demo.yaml --list", "demo.yaml --list-jobs"},
                                          {"status demo.yaml", "demo.yaml --status"},
                                          {"watch demo.yaml", "demo.yaml --watch"},
                                          {"cancel demo.yaml", "demo.yaml --cancel"},
                                          {"clean demo.yaml --yes", "demo.yaml --clean --yes"},
                                          {"schema", "--print-schema"}}) {
    const Finished one = run(subcommand), other = run(flags);
    EXPECT_EQ(one.status, other.status) << subcommand << one.err;
    EXPECT_EQ(one.out, other.out) << subcommand;
    EXPECT_EQ(one.err, other.err) << subcommand;
  }
  EXPECT_EQ(run("--smoke status demo.yaml").out, run("demo.yaml --smoke --status").out);
  EXPECT_EQ(run("run demo.yaml --only value=1").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
}

TEST_F(RunSweep, ASweepFileCalledPlanRunsAsTold) {
  fs::copy_file(house_ / "demo.yaml", house_ / "plan");
  const Finished none = run("plan");
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, AllOf(HasSubstr("run_sweep plan needs a sweep file"),
                              HasSubstr("to run the file plan write run_sweep ./plan")));
  EXPECT_EQ(run("./plan --only value=1").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_EQ(run("run plan --only value=2").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
}

}  // namespace
}  // namespace tarflow::driver
