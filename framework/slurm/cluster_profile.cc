#include "framework/slurm/cluster_profile.h"

#include <fmt/format.h>

#include <initializer_list>

#include "framework/core/error.h"
#include "framework/core/json_keys.h"

namespace tarflow::slurm {

const char* name_of(Executor executor) {
  switch (executor) {
    case Executor::kLocal:
      return "local";
    case Executor::kSlurm:
      return "slurm";
    case Executor::kCommand:
      return "command";
  }
  return "?";
}

const char* queue_name(const ClusterProfile& profile) {
  return profile.by_command() ? "the queue" : "Slurm";
}

const char* name_of(GpuRequest request) {
  switch (request) {
    case GpuRequest::kGres:
      return "gres";
    case GpuRequest::kGpus:
      return "gpus";
    case GpuRequest::kGpusPerNode:
      return "gpus_per_node";
    case GpuRequest::kNone:
      return "none";
  }
  return "?";
}

Json to_json(const ClusterProfile& profile) {
  return {{"name", profile.name},
          {"executor", name_of(profile.executor)},
          {"partition", profile.partition},
          {"account", profile.account},
          {"qos", profile.qos},
          {"constraint", profile.constraint},
          {"exclude", profile.exclude},
          {"gpu_request", name_of(profile.gpu_request)},
          {"gpu_type", profile.gpu_type},
          {"device", profile.device},
          {"node_gpus", profile.node_gpus},
          {"cpus_per_task", profile.cpus_per_task},
          {"mem", profile.mem},
          {"mem_per_gpu", profile.mem_per_gpu},
          {"mem_per_cpu", profile.mem_per_cpu},
          {"mem_grows", profile.mem_grows},
          {"time", profile.time},
          {"time_grows", profile.time_grows},
          {"signal_lead", profile.signal_lead},
          {"max_parallel", profile.max_parallel},
          {"max_array", profile.max_array},
          {"max_queued", profile.max_queued},
          {"jobs_per_allocation", profile.jobs_per_allocation},
          {"pack_time", profile.pack_time},
          {"extra", profile.extra},
          {"setup", profile.setup},
          {"prefix", profile.prefix},
          {"requeue", profile.requeue},
          {"max_resubmissions", profile.max_resubmissions},
          {"poll", profile.poll},
          {"submit", profile.templates.submit},
          {"state", profile.templates.state},
          {"cancel", profile.templates.cancel},
          {"id", profile.templates.id},
          {"words", profile.templates.words},
          {"silent_answers", profile.templates.silent_answers}};
}

namespace {

// The value called `name` of those that an enumeration has.
template <typename Value>
Value named(const Json& json, const char* key, std::initializer_list<Value> values,
            Value otherwise) {
  const std::string name = value_or(json, key, std::string(name_of(otherwise)));
  for (const Value value : values) {
    if (name == name_of(value)) return value;
  }
  throw Error(fmt::format("its `{}` is `{}`, which this program does not know", key, name));
}

}  // namespace

ClusterProfile profile_from_json(const Json& json) {
  ClusterProfile profile;
  const auto read = [&](const char* key, auto& value) { value = value_or(json, key, value); };
  read("name", profile.name);
  // What submissions hold: a profile of this machine submits nothing.
  profile.executor = named(
      json, "executor", {Executor::kSlurm, Executor::kCommand, Executor::kLocal}, Executor::kSlurm);
  read("partition", profile.partition);
  read("account", profile.account);
  read("qos", profile.qos);
  read("constraint", profile.constraint);
  read("exclude", profile.exclude);
  profile.gpu_request =
      named(json, "gpu_request",
            {GpuRequest::kGres, GpuRequest::kGpus, GpuRequest::kGpusPerNode, GpuRequest::kNone},
            profile.gpu_request);
  read("gpu_type", profile.gpu_type);
  read("device", profile.device);
  read("node_gpus", profile.node_gpus);
  read("cpus_per_task", profile.cpus_per_task);
  read("mem", profile.mem);
  read("mem_per_gpu", profile.mem_per_gpu);
  read("mem_per_cpu", profile.mem_per_cpu);
  read("mem_grows", profile.mem_grows);
  read("time", profile.time);
  read("time_grows", profile.time_grows);
  read("signal_lead", profile.signal_lead);
  read("max_parallel", profile.max_parallel);
  read("max_array", profile.max_array);
  read("max_queued", profile.max_queued);
  read("jobs_per_allocation", profile.jobs_per_allocation);
  read("pack_time", profile.pack_time);
  read("extra", profile.extra);
  read("setup", profile.setup);
  read("prefix", profile.prefix);
  read("requeue", profile.requeue);
  read("max_resubmissions", profile.max_resubmissions);
  read("poll", profile.poll);
  read("submit", profile.templates.submit);
  read("state", profile.templates.state);
  read("cancel", profile.templates.cancel);
  read("id", profile.templates.id);
  read("words", profile.templates.words);
  read("silent_answers", profile.templates.silent_answers);
  return profile;
}

}  // namespace tarflow::slurm
