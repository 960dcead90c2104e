#include "experiments/worker/rank_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <map>

#include "experiments/worker/environment.h"
#include "framework/core/error.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {

Json describe_ranks(JobContext& context) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const at::Device device = context.device();
  const std::string text = Json{
      {"host", host},
      {"process", static_cast<int64_t>(::getpid())},
      {"device", device_name(device)},
      {"pci_bus_id",
       pci_bus_id(device)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  Json ranks = Json::array();
  std::map<std::string, size_t> gpus;
  for (const std::string& told : context.comm().gather(text)) {
    Json rank = Json::parse(told);
    const std::string gpu = rank.at("pci_bus_id").get<std::string>();
    if (gpu.empty()) {
      rank.erase("pci_bus_id");
    } else {
      const std::string name =
          fmt::format("{} of host {}", gpu, rank.at("host").get<std::string>());
      const auto [other, fresh] = gpus.emplace(name, ranks.size());
      if (!fresh) {
        throw Error(
            fmt::format("ranks {} and {} both have GPU {}", other->second, ranks.size(), name),
            "start one rank a GPU, and let each see its own or all of them");
      }
    }
    context.log(fmt::format("rank {}: host {}, {}", ranks.size(),
                            rank.at("host").get<std::string>(),
                            rank.at("device").get<std::string>()));
    ranks.push_back(std::move(rank));
  }
  return ranks;
}

}  // namespace tarflow::experiments
