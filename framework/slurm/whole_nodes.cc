#include "framework/slurm/whole_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "framework/sweep/scalars.h"

namespace tarflow::slurm {
namespace {

constexpr int64_t kManyGpus = 1'000'000;

}  // namespace

int64_t jobs_at_once(const ClusterProfile& profile, const sweep::RunSettings& run) {
  if (profile.node_gpus == 0 || run.gpus == 0 || run.nodes > 1) return 1;
  return std::max<int64_t>(1, profile.node_gpus / run.gpus);
}

int64_t gpus_of_node(const ClusterProfile& profile, const sweep::RunSettings& run) {
  return jobs_at_once(profile, run) > 1 ? profile.node_gpus : run.gpus;
}

std::string at_once_text(const ClusterProfile& profile, const sweep::RunSettings& run) {
  const int64_t jobs = jobs_at_once(profile, run);
  if (jobs == 1) return "";
  return fmt::format("{} jobs at once on the {} GPUs of a node", jobs, profile.node_gpus);
}

std::vector<Problem> beyond_nodes(const ClusterProfile& profile, const job::Jobs& jobs) {
  std::vector<Problem> problems;
  std::set<std::string> named;
  for (const job::Job& job : jobs) {
    const sweep::RunSettings& run = *job.run;
    if (profile.node_gpus == 0 || run.gpus <= profile.node_gpus) continue;
    const std::string what =
        fmt::format("jobs of {} GPUs on each node, but nodes of the cluster profile `{}` have {}",
                    run.gpus, profile.name, profile.node_gpus);
    if (!named.insert(run.gpus_at.place.str() + what).second) continue;
    problems.push_back({run.gpus_at.place, what,
                        fmt::format("state gpus: {} or fewer, or correct `node_gpus` in the "
                                    "profile",
                                    profile.node_gpus),
                        run.gpus_at.source_line});
  }
  return problems;
}

void read_node_gpus(const sweep::Node& node, ClusterProfile& profile, sweep::Report& report) {
  const auto gpus = sweep::read_integer(node, "node_gpus", {-kManyGpus, kManyGpus}, report);
  if (!gpus) return;
  if (*gpus >= 1) {
    profile.node_gpus = *gpus;
    return;
  }
  report.error(node.mark,
               fmt::format("`node_gpus` is {}, but a node with GPUs has at least one", *gpus),
               "write how many GPUs a node has; remove the key where allocations are no whole "
               "nodes");
}

void require_fitting_nodes(const sweep::Node& root, const ClusterProfile& profile,
                           sweep::Report& report) {
  const sweep::Entry* entry = root.find("node_gpus");
  if (!entry || profile.node_gpus == 0) return;
  if (!profile.queued()) {
    report.error(entry->value->mark,
                 "`node_gpus` is for jobs in a queue, but the executor is "
                 "`local`",
                 "remove it: on this machine, jobs share all GPUs");
  }
  if (profile.by_command() && profile.gpu_request == GpuRequest::kNone) {
    report.error(entry->value->mark,
                 "`node_gpus` gives GPUs to jobs, but with `executor: command`, `gpu_request: "
                 "none` says that jobs compute on CPUs",
                 "remove one of them");
  }
}

}  // namespace tarflow::slurm
