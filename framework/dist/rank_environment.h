// Which rank this process is, read from what started it: torchrun, Slurm, Open MPI, MPICH or
// run_job itself. Needs no LibTorch.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace tarflow::dist {

struct RankPlace {
  int rank = 0, size = 1;
  int local_rank = 0;         // among the ranks of this host
  int local_size = 0;         // how many those are; 0: not known
  std::string address;        // of rank 0, a name or a number
  std::string other_address;  // where `address` is a name that nobody knows; may be empty
  uint16_t port = 0;
  std::string source = "none";   // "torchrun", "slurm", "mpi": who says so
  std::string run;               // tells this start from all others; may be empty
  bool store_is_theirs = false;  // torchrun keeps the store: rank 0 joins it as all do
  int listening = -1;            // a socket that rank 0 is to take over; -1: it opens one

  bool operator==(const RankPlace&) const = default;
};

enum class RanksFrom { kNone, kAuto, kSlurm, kTorchrun, kMpi };
// "none", "auto", "slurm", "torchrun" or "mpi". Throws Error.
RanksFrom ranks_from(const std::string& text);

using Variables = std::map<std::string, std::string>;
Variables environment_variables();  // of this process

// kNone: one process. kAuto: whatever started this process; one process where no variable speaks of
// ranks. Else that one or Error. Incomplete and contradicting variables are Errors that name them.
RankPlace rank_place(const Variables& variables, RanksFrom from);

// Variables that run_job gives its ranks besides RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE,
// MASTER_ADDR and MASTER_PORT.
inline constexpr const char* kListeningVariable = "TARFLOW_STORE_SOCKET";

// "node[01-03,7],gpu1" to "node01"; "" for "".
std::string first_host(const std::string& node_list);

}  // namespace tarflow::dist
