#include "framework/dist/rank_environment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "framework/core/error.h"

namespace tarflow::dist {
namespace {

// Steps that are no task of srun's: the batch script, an interactive shell and others are numbered
// from the top of 32 bits down.
constexpr int64_t kFirstSpecialStep = 0xffffff00;
// Derived ports stay below those that systems give to outgoing connections.
constexpr uint64_t kFirstPort = 10240, kPorts = 20000;

std::string listed(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

class Reader {
 public:
  explicit Reader(const Variables& variables) : variables_(variables) {}

  bool has(const std::string& name) const { return !text(name).empty(); }
  bool has_any(const std::vector<std::string>& names) const {
    for (const std::string& name : names)
      if (has(name)) return true;
    return false;
  }
  std::string text(const std::string& name) const {
    const auto found = variables_.find(name);
    return found == variables_.end() ? "" : found->second;
  }
  // The first of `names` that is set; "" when none is.
  std::string first_of(const std::vector<std::string>& names) const {
    for (const std::string& name : names)
      if (has(name)) return text(name);
    return "";
  }

  // Throws Error unless it is a whole number of at most `most`.
  int64_t number(const std::string& name, int64_t most) const {
    const std::string value = text(name);
    int64_t result = -1;
    const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (failed != std::errc() || end != value.data() + value.size() || result < 0 ||
        result > most) {
      throw Error(fmt::format("the environment variable {} is `{}`, not a number from 0 to {}",
                              name, value, most),
                  "restart all ranks, or run one process with `--ranks-from none`");
    }
    return result;
  }

  // Throws Error that names those that are not set.
  void require(const std::string& whose, const std::vector<std::string>& names) const {
    std::vector<std::string> there, missing;
    for (const std::string& name : names) (has(name) ? there : missing).push_back(name);
    if (missing.empty()) return;
    throw Error(fmt::format("the environment variables of {} are not complete: {} is not set{}",
                            whose, listed(missing),
                            there.empty() ? "" : fmt::format(" while {} is", listed(there))),
                "start the ranks with torchrun, srun, mpirun or `run_job FOLDER --ranks N`; "
                "`--ranks-from none` runs one process whatever the environment says");
  }

 private:
  const Variables& variables_;
};

constexpr int64_t kMostRanks = 1 << 20;

// rank, size and local rank from the variables named so, which are set.
void read_numbers(const Reader& reader, const std::string& rank, const std::string& size,
                  const std::string& local, const std::string& local_size, RankPlace& place) {
  place.rank = static_cast<int>(reader.number(rank, kMostRanks));
  place.size = static_cast<int>(reader.number(size, kMostRanks));
  place.local_rank = static_cast<int>(reader.number(local, kMostRanks));
  if (reader.has(local_size))
    place.local_size = static_cast<int>(reader.number(local_size, kMostRanks));
  const auto contradict = [&](const std::string& a, const std::string& b) {
    throw Error(fmt::format("the environment variables {} and {} contradict each other: {} and {}",
                            a, b, reader.text(a), reader.text(b)),
                "ranks count from 0; restart them");
  };
  if (place.rank >= place.size) contradict(rank, size);
  if (place.local_rank > place.rank) contradict(local, rank);
  if (place.local_size > 0 && place.local_rank >= place.local_size) contradict(local, local_size);
  if (place.local_size > place.size) contradict(local_size, size);
}

uint16_t derived_port(std::string_view text) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return static_cast<uint16_t>(kFirstPort + hash % kPorts);
}

uint16_t master_port(const Reader& reader) {
  const int64_t port = reader.number("MASTER_PORT", 65535);
  if (port == 0) throw Error("the environment variable MASTER_PORT is 0", "state a free port");
  return static_cast<uint16_t>(port);
}

bool has_torchrun(const Reader& reader) {
  return reader.has_any({"RANK", "WORLD_SIZE", "LOCAL_RANK"});
}

RankPlace torchrun_place(const Reader& reader) {
  reader.require("torchrun", {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"});
  RankPlace place;
  place.source = "torchrun";
  read_numbers(reader, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", place);
  place.address = reader.text("MASTER_ADDR");
  place.port = master_port(reader);
  place.store_is_theirs = reader.text("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (reader.has("TORCHELASTIC_RUN_ID")) {
    place.run = fmt::format("{}.{}", reader.text("TORCHELASTIC_RUN_ID"),
                            reader.text("TORCHELASTIC_RESTART_COUNT"));
  }
  if (place.rank == 0 && reader.has(kListeningVariable))
    place.listening = static_cast<int>(reader.number(kListeningVariable, 1 << 20));
  return place;
}

bool has_slurm(const Reader& reader) {
  if (!reader.has_any({"SLURM_STEP_ID", "SLURM_STEPID"})) return false;
  const std::string name = reader.has("SLURM_STEP_ID") ? "SLURM_STEP_ID" : "SLURM_STEPID";
  return reader.number(name, INT64_MAX) < kFirstSpecialStep;
}

RankPlace slurm_place(const Reader& reader) {
  const std::string size =
      reader.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  reader.require("a Slurm step", {"SLURM_PROCID", size, "SLURM_LOCALID", "SLURM_JOB_ID"});
  RankPlace place;
  place.source = "slurm";
  read_numbers(reader, "SLURM_PROCID", size, "SLURM_LOCALID", "", place);
  place.run = fmt::format("{}.{}.{}", reader.text("SLURM_JOB_ID"),
                          reader.first_of({"SLURM_STEP_ID", "SLURM_STEPID"}),
                          reader.text("SLURM_RESTART_COUNT"));
  place.port = reader.has("MASTER_PORT") ? master_port(reader) : derived_port(place.run);
  place.address = reader.has("MASTER_ADDR") ? reader.text("MASTER_ADDR")
                                            : first_host(reader.text("SLURM_STEP_NODELIST"));
  // Where Slurm's names of nodes are no names of hosts: srun runs on the first node of a batch job.
  if (!reader.has("MASTER_ADDR")) place.other_address = reader.text("SLURM_LAUNCH_NODE_IPADDR");
  if (place.address.empty()) std::swap(place.address, place.other_address);
  if (place.address.empty())
    reader.require("a Slurm step", {"SLURM_STEP_NODELIST", "SLURM_LAUNCH_NODE_IPADDR"});
  return place;
}

bool has_open_mpi(const Reader& reader) {
  return reader.has_any({"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"});
}
bool has_pmi(const Reader& reader) { return reader.has_any({"PMI_RANK", "PMI_SIZE"}); }

// No MPI says where rank 0 is, unless all ranks are on one host.
void find_address(const Reader& reader, const char* hand_on, RankPlace& place) {
  if (reader.has("MASTER_ADDR")) {
    place.address = reader.text("MASTER_ADDR");
  } else if (place.local_size == place.size) {
    place.address = "127.0.0.1";
  }
  const std::string run =
      reader.first_of({"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "OMPI_MCA_orte_ess_jobid"});
  place.run = run;
  if (reader.has("MASTER_PORT")) {
    place.port = master_port(reader);
  } else if (!run.empty()) {
    place.port = derived_port(run);
  }
  if ((!place.address.empty() && place.port != 0) || place.size == 1) return;
  std::vector<std::string> missing;
  if (place.address.empty()) missing.push_back("MASTER_ADDR");
  if (place.port == 0) missing.push_back("MASTER_PORT");
  throw Error(fmt::format("mpirun started {} ranks, but where rank 0 is to be found is not known: "
                          "{} is not set",
                          place.size, listed(missing)),
              fmt::format("mpirun {} ... with the host of rank 0 and a free port there", hand_on));
}

RankPlace mpi_place(const Reader& reader) {
  RankPlace place;
  place.source = "mpi";
  if (has_open_mpi(reader)) {
    const std::string w = "OMPI_COMM_WORLD_";
    reader.require("Open MPI", {w + "RANK", w + "SIZE", w + "LOCAL_RANK"});
    read_numbers(reader, w + "RANK", w + "SIZE", w + "LOCAL_RANK", w + "LOCAL_SIZE", place);
    find_address(reader, "-x MASTER_ADDR=HOST -x MASTER_PORT=29500", place);
    return place;
  }
  const std::string local =
      reader.has("PALS_LOCAL_RANKID") ? "PALS_LOCAL_RANKID" : "MPI_LOCALRANKID";
  reader.require("MPICH (PMI)", {"PMI_RANK", "PMI_SIZE", local});
  read_numbers(reader, "PMI_RANK", "PMI_SIZE", local, "MPI_LOCALNRANKS", place);
  find_address(reader, "-genv MASTER_ADDR HOST -genv MASTER_PORT 29500", place);
  return place;
}

Error none_of(const std::string& what, const std::string& repair) {
  return Error("no ranks of " + what + " are to be seen in the environment", repair);
}

// Both speak of ranks, and none of them is known to have been started by the other.
RankPlace agreed(const RankPlace& place, const RankPlace& other, const std::string& other_names) {
  if (place.rank == other.rank && place.size == other.size) return place;
  throw Error(fmt::format("the environment contradicts itself: rank {} of {} by RANK and "
                          "WORLD_SIZE, rank {} of {} by {}",
                          place.rank, place.size, other.rank, other.size, other_names),
              fmt::format("say which of them it is: --ranks-from torchrun or --ranks-from {}",
                          other.source));
}

RankPlace any_place(const Reader& reader) {
  // mpirun and torchrun start their ranks within a step of Slurm's; a step starts neither. With PMI
  // alone it may be Slurm that speaks PMI.
  const bool slurm = has_slurm(reader), mpi = has_open_mpi(reader) || (has_pmi(reader) && !slurm);
  if (has_torchrun(reader)) {
    const RankPlace place = torchrun_place(reader);
    if (reader.has("TORCHELASTIC_RUN_ID")) return place;
    if (mpi) {
      return agreed(place, mpi_place(reader),
                    has_open_mpi(reader) ? "OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE"
                                         : "PMI_RANK and PMI_SIZE");
    }
    if (slurm) return agreed(place, slurm_place(reader), "SLURM_PROCID and SLURM_STEP_NUM_TASKS");
    return place;
  }
  if (mpi) return mpi_place(reader);
  return slurm ? slurm_place(reader) : RankPlace{};
}

}  // namespace

RanksFrom ranks_from(const std::string& text) {
  static const std::map<std::string, RanksFrom> kKnown = {{"none", RanksFrom::kNone},
                                                          {"auto", RanksFrom::kAuto},
                                                          {"slurm", RanksFrom::kSlurm},
                                                          {"torchrun", RanksFrom::kTorchrun},
                                                          {"mpi", RanksFrom::kMpi}};
  if (const auto found = kKnown.find(text); found != kKnown.end()) return found->second;
  throw Error(fmt::format("nothing that starts ranks is called `{}`", text),
              "valid: none, auto, slurm, torchrun, mpi");
}

Variables environment_variables() {
  Variables variables;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

RankPlace rank_place(const Variables& variables, RanksFrom from) {
  const Reader reader(variables);
  switch (from) {
    case RanksFrom::kNone:
      return {};
    case RanksFrom::kAuto:
      return any_place(reader);
    case RanksFrom::kTorchrun:
      return torchrun_place(reader);
    case RanksFrom::kMpi:
      if (!has_open_mpi(reader) && !has_pmi(reader))
        throw none_of("MPI", "neither OMPI_COMM_WORLD_RANK nor PMI_RANK is set; start with mpirun");
      return mpi_place(reader);
    case RanksFrom::kSlurm:
      break;
  }
  if (!has_slurm(reader)) {
    throw none_of(
        "Slurm",
        "SLURM_STEP_ID is not that of a step; a batch script and a shell of salloc are no "
        "ranks, srun starts them");
  }
  return slurm_place(reader);
}

std::string first_host(const std::string& node_list) {
  const size_t bracket = node_list.find_first_of("[,");
  if (bracket == std::string::npos || node_list[bracket] == ',')
    return node_list.substr(0, bracket);
  const size_t end = node_list.find_first_of(",-]", bracket + 1);
  const size_t close = node_list.find(']', bracket);
  if (end == std::string::npos || close == std::string::npos) return "";
  const std::string tail = node_list.substr(close + 1, node_list.find(',', close) - close - 1);
  // "r[1-2]n[3-4]" has another bracket to open.
  return first_host(node_list.substr(0, bracket) +
                    node_list.substr(bracket + 1, end - bracket - 1) + tail);
}

}  // namespace tarflow::dist
