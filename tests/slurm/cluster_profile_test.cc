#include "framework/slurm/cluster_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/slurm/profile_difference.h"
#include "tests/slurm/profile_fixture.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Profiles : public WrittenProfiles {};

TEST_F(Profiles, EveryKeyIsReadAndSurvivesJson) {
  const ClusterProfile profile = read(R"(executor: slurm
partition: gpu,long
account: lab
qos: high
constraint: "a100&nvlink"
exclude: node[3-5]
gpu_request: gpus_per_node
gpu_type: a100
device: NVIDIA A100
node_gpus: 4
cpus_per_task: 8
mem_per_gpu: 32G
time: 1-12:00:00
signal_lead: 5 min
max_parallel: 20
max_array: 500
max_queued: 40
jobs_per_allocation: 4
pack_time: 1 h
extra: ["--mail-type=FAIL", "#SBATCH --nice=10"]
setup:
  - module load cuda
  - export A="b c"
prefix: apptainer exec --nv image.sif
requeue: false
max_resubmissions: 7
poll: 30
)");
  EXPECT_EQ(profile.name, "cluster");
  EXPECT_TRUE(profile.slurm());
  EXPECT_EQ(profile.gpu_request, GpuRequest::kGpusPerNode);
  EXPECT_EQ(profile.time, 36 * 3600);
  EXPECT_EQ(profile.signal_lead, 300);
  EXPECT_EQ(profile.jobs_per_allocation, 4);
  EXPECT_EQ(profile.node_gpus, 4);
  EXPECT_EQ(profile.pack_time, 3600);
  EXPECT_THAT(profile.extra, ElementsAre("--mail-type=FAIL", "--nice=10"));
  EXPECT_THAT(profile.setup, ElementsAre("module load cuda", "export A=\"b c\""));
  EXPECT_FALSE(profile.requeue);
  EXPECT_EQ(profile_from_json(to_json(profile)), profile);
}

TEST_F(Profiles, DifferencesAreReadable) {
  const ClusterProfile then =
      read("executor: slurm\npartition: gpu\ntime: 10 min\ngpu_type: a100\npoll: 20 s\n");
  const ClusterProfile now = read(
      "executor: slurm\npartition: gpu\ntime: 1 d\naccount: tp0\nextra: [--hold, --nice=5]\n"
      "requeue: false\nmax_parallel: 4\nsignal_lead: 0\n");
  EXPECT_THAT(
      profile_differences(then, now),
      ElementsAre("account was not stated, is tp0", "extra was not stated, is --hold, --nice=5",
                  "gpu_type was a100, is not stated", "max_parallel was not stated, is 4",
                  "requeue was true, is false", "signal_lead was 2:00, is never",
                  "time was 10:00, is 24:00:00"));
  EXPECT_THAT(profile_differences(then, then), ElementsAre());
  // What a submission adds of its own is no change of the profile.
  ClusterProfile stated = then;
  stated.exclude = "n9";
  stated.max_parallel = 20;
  Submission submission;
  submission.profile = stated;
  submission.profile.max_parallel = 6;
  submission.profile.exclude = "n9,n1,n2";
  submission.avoided = {"n1", "n2"};
  EXPECT_THAT(profile_differences(profile_as_stated(submission, stated), stated), ElementsAre());
  submission.profile.exclude = "n1,n2";
  EXPECT_EQ(profile_as_stated(submission, stated).exclude, "");
}

TEST_F(Profiles, TimesHaveUnitsOrAreAsSlurmWritesThem) {
  const auto time = [&](const std::string& text) {
    return read(fmt::format("executor: slurm\ntime: {}\n", text)).time;
  };
  EXPECT_EQ(time("90 s"), 90);
  EXPECT_EQ(time("86400"), 86400) << "no limit in minutes is so long";
  EXPECT_EQ(time("0"), 0);
  EXPECT_EQ(time("2 h"), 7200);
  EXPECT_EQ(time("02:30:00"), 9000);
  EXPECT_EQ(time("30:00"), 1800);
  EXPECT_EQ(time("1-00"), 86400);
  EXPECT_THAT(complaint("executor: slurm\ntime: soon\n"),
              AllOf(HasSubstr("cluster.yaml:2:7"),
                    HasSubstr("expected a duration, found the text `soon`")));
}

TEST_F(Profiles, ABareNumberIsAskedForItsUnit) {
  for (const char* key : {"time", "pack_time"}) {
    for (const char* number : {"120", "2", "1.5", "1440", "10080", "'120'", "+90", "1e3"}) {
      EXPECT_THAT(complaint(fmt::format("executor: slurm\n{}: {}\n", key, number)),
                  AllOf(HasSubstr(fmt::format("cluster.yaml:2:{}", std::string(key).size() + 3)),
                        HasSubstr("without a unit"), HasSubstr(" min")))
          << key << " " << number;
    }
  }
  for (const char* key : {"mem", "mem_per_gpu", "mem_per_cpu"}) {
    EXPECT_THAT(complaint(fmt::format("executor: slurm\n{}: 64\n", key)),
                AllOf(HasSubstr("without a unit"), HasSubstr("64G")));
    for (const char* size : {"0", "64G", "4000", "512M"}) {
      EXPECT_EQ(complaint(fmt::format("executor: slurm\n{}: {}\n", key, size)), "") << size;
    }
  }
  EXPECT_EQ(complaint("executor: slurm\nsignal_lead: 120\npoll: 30\n"), "") << "as Slurm has it";
}

TEST_F(Profiles, WhatIsNotSeenIsNamed) {
  EXPECT_THAT(complaint("executor: slurm\npartition: gpu\u00A0\n"),
              AllOf(HasSubstr("cluster.yaml:2:15"), HasSubstr("U+00A0")));
}

TEST_F(Profiles, EverythingWrongIsReportedAtItsPlace) {
  const std::string text = complaint(
      "executor: slurmm\npartion: gpu\nmax_parallel: -1\nextra: [mail]\nmem: 1G\nmem_per_cpu: "
      "1G\n");
  EXPECT_THAT(text, HasSubstr("cluster.yaml:1:11"));
  EXPECT_THAT(text, HasSubstr("did you mean `slurm`?"));
  EXPECT_THAT(text, HasSubstr("cluster.yaml:2:1"));
  EXPECT_THAT(text, HasSubstr("did you mean `partition`?"));
  EXPECT_THAT(text, HasSubstr("cluster.yaml:3:15"));
  EXPECT_THAT(text, HasSubstr("`extra` has the line `mail`"));
  EXPECT_THAT(text, HasSubstr("exclude each other"));
  EXPECT_THAT(complaint("partition: gpu\n"), HasSubstr("no `executor`"));
}

TEST_F(Profiles, ValuesCannotBeginLinesOfTheirOwn) {
  EXPECT_THAT(complaint("executor: slurm\npartition: \"a\\n#SBATCH --uid=0\"\n"),
              HasSubstr("line"));
}

TEST_F(Profiles, TheSignalComesWellBeforeAShortEnd) {
  EXPECT_EQ(read("executor: slurm\ntime: 100 s\n").signal_lead, 20);
  EXPECT_THAT(complaint("executor: slurm\ntime: 100 s\nsignal_lead: 100\n"),
              HasSubstr("leaves nothing"));
}

TEST_F(Profiles, AreFoundByNameFileOrInTheUsersFolder) {
  const ProfileFolders folders{house_ / "config", house_ / "shipped"};
  EXPECT_FALSE(find_profile("", folders).slurm());
  write_file(house_ / "shipped/lab.yaml", "executor: slurm\npartition: shipped\n");
  EXPECT_EQ(find_profile("lab", folders).partition, "shipped");
  write_file(house_ / "config/clusters/lab.yaml", "executor: slurm\npartition: own\n");
  EXPECT_EQ(find_profile("lab", folders).partition, "own");
  write_file(house_ / "config/cluster.yaml", "executor: slurm\npartition: default\n");
  EXPECT_EQ(find_profile("", folders).partition, "default");
  EXPECT_EQ(find_profile((house_ / "shipped/lab.yaml").string(), folders).partition, "shipped");
  EXPECT_FALSE(find_profile("none", folders).slurm());
  EXPECT_EQ(find_profile_file("", folders), house_ / "config/cluster.yaml");
  EXPECT_EQ(find_profile_file("lab", folders), house_ / "config/clusters/lab.yaml");
  EXPECT_EQ(find_profile_file("none", folders), std::nullopt);
  ProfileFolders site = folders;
  site.site = house_ / "site";
  write_file(house_ / "site/cluster.yaml", "executor: slurm\npartition: site\n");
  write_file(house_ / "site/clusters/lab.yaml", "executor: slurm\npartition: site lab\n");
  write_file(house_ / "site/clusters/big.yaml", "executor: slurm\npartition: big\n");
  EXPECT_EQ(find_profile("", site).partition, "default") << "the user's own comes first";
  EXPECT_EQ(find_profile("lab", site).partition, "own");
  EXPECT_EQ(find_profile("big", site).partition, "big");
  site.config = house_ / "nobody";
  EXPECT_EQ(find_profile("", site).partition, "site");
  EXPECT_EQ(find_profile("lab", site).partition, "site lab") << "before what is shipped";
  try {
    find_profile("lub", folders);
    ADD_FAILURE() << "there is no such profile";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("did you mean `lab`?"));
  }
}

TEST_F(Profiles, AShippedExampleIsKnownUntilItIsEdited) {
  const fs::path shipped = fs::path(TARFLOW_SOURCE_DIR) / "sweeps/clusters";
  const std::string text = read_file(shipped / "university.yaml");
  EXPECT_EQ(example_of(read(text), shipped), "university") << "under another name as well";
  EXPECT_EQ(example_of(read(text + "max_array: 7\n"), shipped), "");
}

}  // namespace
}  // namespace tarflow::slurm
