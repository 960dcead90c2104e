#include "framework/schedule/cluster_profile.h"

#include <fmt/format.h>

#include "framework/core/error.h"

namespace tarflow::schedule {

const char* name_of(Executor executor) { return executor == Executor::kSlurm ? "slurm" : "local"; }

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
          {"cpus_per_task", profile.cpus_per_task},
          {"mem", profile.mem},
          {"mem_per_gpu", profile.mem_per_gpu},
          {"mem_per_cpu", profile.mem_per_cpu},
          {"time", profile.time},
          {"signal_lead", profile.signal_lead},
          {"max_parallel", profile.max_parallel},
          {"max_array", profile.max_array},
          {"jobs_per_allocation", profile.jobs_per_allocation},
          {"pack_time", profile.pack_time},
          {"extra", profile.extra},
          {"setup", profile.setup},
          {"prefix", profile.prefix},
          {"requeue", profile.requeue},
          {"max_resubmissions", profile.max_resubmissions},
          {"poll", profile.poll}};
}

ClusterProfile profile_from_json(const Json& json) {
  ClusterProfile profile;
  try {
    profile.name = json.at("name").get<std::string>();
    profile.executor = json.at("executor") == "slurm" ? Executor::kSlurm : Executor::kLocal;
    profile.partition = json.at("partition").get<std::string>();
    profile.account = json.at("account").get<std::string>();
    profile.qos = json.at("qos").get<std::string>();
    profile.constraint = json.at("constraint").get<std::string>();
    profile.exclude = json.at("exclude").get<std::string>();
    for (const GpuRequest request :
         {GpuRequest::kGres, GpuRequest::kGpus, GpuRequest::kGpusPerNode, GpuRequest::kNone}) {
      if (json.at("gpu_request") == name_of(request)) profile.gpu_request = request;
    }
    profile.gpu_type = json.at("gpu_type").get<std::string>();
    profile.device = json.at("device").get<std::string>();
    profile.cpus_per_task = json.at("cpus_per_task").get<int64_t>();
    profile.mem = json.at("mem").get<std::string>();
    profile.mem_per_gpu = json.at("mem_per_gpu").get<std::string>();
    profile.mem_per_cpu = json.at("mem_per_cpu").get<std::string>();
    profile.time = json.at("time").get<double>();
    profile.signal_lead = json.at("signal_lead").get<double>();
    profile.max_parallel = json.at("max_parallel").get<int64_t>();
    profile.max_array = json.at("max_array").get<int64_t>();
    profile.jobs_per_allocation = json.at("jobs_per_allocation").get<int64_t>();
    profile.pack_time = json.at("pack_time").get<double>();
    profile.extra = json.at("extra").get<std::vector<std::string>>();
    profile.setup = json.at("setup").get<std::vector<std::string>>();
    profile.prefix = json.at("prefix").get<std::string>();
    profile.requeue = json.at("requeue").get<bool>();
    profile.max_resubmissions = json.at("max_resubmissions").get<int64_t>();
    profile.poll = json.at("poll").get<double>();
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a cluster profile: {}", failure.what()));
  }
  return profile;
}

}  // namespace tarflow::schedule
