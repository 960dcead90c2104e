#include "framework/dist/rank_environment.h"

#include <gmock/gmock.h>

#include <functional>

#include "framework/core/error.h"

namespace tarflow::dist {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}
Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
std::string error_of(const Variables& variables, RanksFrom from = RanksFrom::kAuto) {
  return error_of([&] { rank_place(variables, from); });
}

// The same place whether `from` is named or recognised.
RankPlace place_of(const Variables& variables, RanksFrom from) {
  const RankPlace place = rank_place(variables, RanksFrom::kAuto);
  EXPECT_EQ(rank_place(variables, from), place);
  return place;
}

const Variables kTorchrun = {{"RANK", "5"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "node7"},
                             {"MASTER_PORT", "29400"}};
const Variables kSlurm = {{"SLURM_JOB_ID", "1234"},
                          {"SLURM_STEP_ID", "0"},
                          {"SLURM_PROCID", "3"},
                          {"SLURM_STEP_NUM_TASKS", "4"},
                          {"SLURM_NTASKS", "4"},
                          {"SLURM_LOCALID", "1"},
                          {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                          {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.7"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                            {"OMPI_COMM_WORLD_SIZE", "2"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                            {"PMIX_NAMESPACE", "prterun-box-77@1"}};
const Variables kMpich = {{"PMI_RANK", "2"},        {"PMI_SIZE", "4"},
                          {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "2"},
                          {"MASTER_ADDR", "node1"}, {"MASTER_PORT", "29500"}};

TEST(RankEnvironment, WithoutAnyVariableItIsOneProcess) {
  EXPECT_EQ(rank_place({}, RanksFrom::kAuto), RankPlace{});
  EXPECT_EQ(rank_place({{"MASTER_ADDR", "x"}}, RanksFrom::kAuto).size, 1);
}

TEST(RankEnvironment, NoneIsOneProcessWhateverTheEnvironmentSays) {
  EXPECT_EQ(rank_place(with(kTorchrun, kSlurm), RanksFrom::kNone), RankPlace{});
}

TEST(RankEnvironment, TorchrunSaysEverything) {
  const RankPlace place = place_of(kTorchrun, RanksFrom::kTorchrun);
  EXPECT_EQ(place.rank, 5);
  EXPECT_EQ(place.size, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.local_size, 4);
  EXPECT_EQ(place.address, "node7");
  EXPECT_EQ(place.port, 29400);
  EXPECT_EQ(place.source, "torchrun");
  EXPECT_FALSE(place.store_is_theirs);
}

TEST(RankEnvironment, TheStoreOfTorchrunIsJoinedAndNotOpenedAnew) {
  const RankPlace place = rank_place(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                                      {"TORCHELASTIC_RUN_ID", "r"},
                                                      {"TORCHELASTIC_RESTART_COUNT", "2"}}),
                                     RanksFrom::kAuto);
  EXPECT_TRUE(place.store_is_theirs);
  EXPECT_EQ(place.run, "r.2");
}

TEST(RankEnvironment, EachMissingVariableOfTorchrunIsNamed) {
  for (const std::string name :
       {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    EXPECT_THAT(error_of(without(kTorchrun, name)), HasSubstr(name + " is not set")) << name;
    EXPECT_THAT(error_of(with(kTorchrun, {{name, ""}})), HasSubstr(name + " is not set")) << name;
  }
}

TEST(RankEnvironment, WhatIsNoNumberIsNamed) {
  for (const std::string value : {"x", "-1", "1.5", "7 ", "99999999999999999999"}) {
    EXPECT_THAT(error_of(with(kTorchrun, {{"RANK", value}})), HasSubstr("RANK is `" + value + "`"));
  }
  EXPECT_THAT(error_of(with(kTorchrun, {{"MASTER_PORT", "70000"}})), HasSubstr("MASTER_PORT"));
  EXPECT_THAT(error_of(with(kTorchrun, {{"MASTER_PORT", "0"}})), HasSubstr("MASTER_PORT"));
}

TEST(RankEnvironment, NumbersThatContradictEachOtherAreNamed) {
  EXPECT_THAT(error_of(with(kTorchrun, {{"RANK", "8"}})),
              AllOf(HasSubstr("RANK and WORLD_SIZE"), HasSubstr("8 and 8")));
  EXPECT_THAT(error_of(with(kTorchrun, {{"LOCAL_RANK", "4"}})),
              HasSubstr("LOCAL_RANK and LOCAL_WORLD_SIZE"));
  EXPECT_THAT(error_of(with(kTorchrun, {{"LOCAL_WORLD_SIZE", "9"}})),
              HasSubstr("LOCAL_WORLD_SIZE and WORLD_SIZE"));
  EXPECT_THAT(error_of(with(kTorchrun, {{"RANK", "0"}})), HasSubstr("LOCAL_RANK and RANK"));
}

TEST(RankEnvironment, AStepOfSlurmSaysEverything) {
  const RankPlace place = place_of(kSlurm, RanksFrom::kSlurm);
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.address, "gpu07");
  EXPECT_EQ(place.other_address, "10.0.0.7");
  EXPECT_EQ(place.source, "slurm");
  EXPECT_EQ(place.run, "1234.0.");
  EXPECT_GE(place.port, 10240);
}

TEST(RankEnvironment, StepsOfOneJobHaveTheirOwnPorts) {
  const RankPlace first = rank_place(kSlurm, RanksFrom::kSlurm);
  EXPECT_EQ(first.port, rank_place(with(kSlurm, {{"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}}),
                                   RanksFrom::kSlurm)
                            .port);
  EXPECT_NE(first.port, rank_place(with(kSlurm, {{"SLURM_STEP_ID", "1"}}), RanksFrom::kSlurm).port);
}

TEST(RankEnvironment, AStatedAddressComesBeforeThatOfSlurm) {
  const RankPlace place = rank_place(
      with(kSlurm, {{"MASTER_ADDR", "10.1.0.7"}, {"MASTER_PORT", "4000"}}), RanksFrom::kAuto);
  EXPECT_EQ(place.address, "10.1.0.7");
  EXPECT_EQ(place.other_address, "");
  EXPECT_EQ(place.port, 4000);
}

TEST(RankEnvironment, ABatchScriptAndAShellOfSallocAreNoRanks) {
  const Variables batch = {{"SLURM_JOB_ID", "1234"}, {"SLURM_PROCID", "0"},
                           {"SLURM_NTASKS", "4"},    {"SLURM_LOCALID", "0"},
                           {"SLURM_NODELIST", "n1"}, {"SLURM_NNODES", "1"}};
  const Variables interactive = with(kSlurm, {{"SLURM_STEP_ID", "4294967290"}});
  for (const Variables& variables : {batch, interactive}) {
    EXPECT_EQ(rank_place(variables, RanksFrom::kAuto), RankPlace{});
    EXPECT_THAT(error_of(variables, RanksFrom::kSlurm),
                AllOf(HasSubstr("SLURM_STEP_ID"), HasSubstr("srun")));
  }
}

TEST(RankEnvironment, WhatAStepLacksIsNamed) {
  for (const std::string name : {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_JOB_ID"})
    EXPECT_THAT(error_of(without(kSlurm, name)), HasSubstr(name + " is not set")) << name;
  EXPECT_THAT(error_of(without(without(kSlurm, "SLURM_STEP_NUM_TASKS"), "SLURM_NTASKS")),
              HasSubstr("SLURM_NTASKS is not set"));
  EXPECT_THAT(error_of(without(without(kSlurm, "SLURM_STEP_NODELIST"), "SLURM_LAUNCH_NODE_IPADDR")),
              AllOf(HasSubstr("SLURM_STEP_NODELIST"), HasSubstr("SLURM_LAUNCH_NODE_IPADDR")));
}

TEST(RankEnvironment, OpenMpiOnOneHostNeedsNoAddress) {
  const RankPlace place = place_of(kOpenMpi, RanksFrom::kMpi);
  EXPECT_EQ(place.rank, 1);
  EXPECT_EQ(place.size, 2);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.address, "127.0.0.1");
  EXPECT_NE(place.port, 0);
}

TEST(RankEnvironment, MpiOnSeveralHostsIsNeverTakenForLocalhost) {
  const Variables apart =
      with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "0"}});
  EXPECT_THAT(error_of(apart), AllOf(HasSubstr("MASTER_ADDR is not set"), HasSubstr("-x ")));
  EXPECT_THAT(error_of(without(apart, "OMPI_COMM_WORLD_LOCAL_SIZE")),
              HasSubstr("MASTER_ADDR is not set"));
  EXPECT_EQ(rank_place(with(apart, {{"MASTER_ADDR", "node1"}}), RanksFrom::kAuto).address, "node1");
}

TEST(RankEnvironment, MpichSaysEverythingButTheAddress) {
  const RankPlace place = place_of(kMpich, RanksFrom::kMpi);
  EXPECT_EQ(place.rank, 2);
  EXPECT_EQ(place.size, 4);
  EXPECT_EQ(place.local_rank, 0);
  EXPECT_EQ(place.address, "node1");
  EXPECT_EQ(place.port, 29500);
  EXPECT_THAT(error_of(without(kMpich, "MASTER_PORT")), HasSubstr("MASTER_PORT is not set"));
  EXPECT_THAT(error_of(without(kMpich, "MASTER_ADDR")), HasSubstr("MASTER_ADDR is not set"));
  EXPECT_THAT(error_of(without(kMpich, "PMI_SIZE")), HasSubstr("PMI_SIZE is not set"));
}

TEST(RankEnvironment, MpirunWithinASlurmAllocationIsMpirun) {
  // The step is that of mpirun's own helpers, one a node.
  const RankPlace place = rank_place(with(kSlurm, kOpenMpi), RanksFrom::kAuto);
  EXPECT_EQ(place.source, "mpi");
  EXPECT_EQ(place.rank, 1);
}

TEST(RankEnvironment, SlurmThatSpeaksPmiIsSlurm) {
  EXPECT_EQ(
      rank_place(with(kSlurm, {{"PMI_RANK", "3"}, {"PMI_SIZE", "4"}}), RanksFrom::kAuto).source,
      "slurm");
}

TEST(RankEnvironment, TorchrunWithinAStepIsTorchrun) {
  EXPECT_EQ(
      rank_place(with(with(kSlurm, kTorchrun), {{"TORCHELASTIC_RUN_ID", "r"}}), RanksFrom::kAuto)
          .source,
      "torchrun");
}

TEST(RankEnvironment, TwoThatSayTheSameAreOne) {
  const Variables same = with(with(kSlurm, kTorchrun), {{"RANK", "3"}, {"WORLD_SIZE", "4"}});
  EXPECT_EQ(rank_place(same, RanksFrom::kAuto).address, "node7");
}

TEST(RankEnvironment, TwoThatDisagreeAreAnErrorUntilOneIsNamed) {
  const Variables both = with(kSlurm, kTorchrun);
  EXPECT_THAT(error_of(both), AllOf(HasSubstr("rank 5 of 8 by RANK"), HasSubstr("SLURM_PROCID"),
                                    HasSubstr("--ranks-from slurm")));
  EXPECT_EQ(rank_place(both, RanksFrom::kSlurm).rank, 3);
  EXPECT_EQ(rank_place(both, RanksFrom::kTorchrun).rank, 5);
  EXPECT_THAT(error_of(with(kTorchrun, kOpenMpi)), HasSubstr("OMPI_COMM_WORLD_RANK"));
  EXPECT_THAT(error_of(with(kTorchrun, kMpich)), HasSubstr("PMI_RANK"));
}

TEST(RankEnvironment, WhatWasAskedForAndIsNotThereIsAnError) {
  EXPECT_THAT(error_of({}, RanksFrom::kSlurm), HasSubstr("Slurm"));
  EXPECT_THAT(error_of({}, RanksFrom::kMpi), HasSubstr("OMPI_COMM_WORLD_RANK"));
  EXPECT_THAT(error_of({}, RanksFrom::kTorchrun), HasSubstr("RANK, WORLD_SIZE"));
  EXPECT_THAT(error_of(kTorchrun, RanksFrom::kSlurm), HasSubstr("Slurm"));
  EXPECT_THAT(error_of([] { ranks_from("srun"); }), HasSubstr("slurm"));
}

TEST(RankEnvironment, TheFirstHostOfANodeList) {
  EXPECT_EQ(first_host(""), "");
  EXPECT_EQ(first_host("n1"), "n1");
  EXPECT_EQ(first_host("n1,n2"), "n1");
  EXPECT_EQ(first_host("node[01-03,07],gpu1"), "node01");
  EXPECT_EQ(first_host("node[7]"), "node7");
  EXPECT_EQ(first_host("a-[3,5]-x.org,b"), "a-3-x.org");
  EXPECT_EQ(first_host("r[1-2]n[3-4]"), "r1n3");
  EXPECT_EQ(first_host("broken[1"), "");
}

}  // namespace
}  // namespace tarflow::dist
