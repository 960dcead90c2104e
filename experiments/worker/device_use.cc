#include "experiments/worker/device_use.h"

#include <algorithm>
#include <map>

#include "framework/core/foreign_share.h"
#include "framework/core/json.h"

namespace tarflow::experiments {

std::string DeviceUse::text() const {
  return Json{{"host", host}, {"busy", busy}, {"own", own},           {"wall", wall},
              {"cpus", cpus}, {"gpu", gpu},   {"seen", seen_another}, {"stopped", stopped}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

DeviceUse DeviceUse::from(const std::string& text) {
  const Json json = Json::parse(text);
  DeviceUse use;
  use.host = json.at("host").get<std::string>();
  use.busy = json.at("busy").get<double>();
  use.own = json.at("own").get<double>();
  use.wall = json.at("wall").get<double>();
  use.cpus = json.at("cpus").get<double>();
  use.gpu = json.at("gpu").get<bool>();
  use.seen_another = json.at("seen").get<bool>();
  use.stopped = json.at("stopped").get<bool>();
  return use;
}

double foreign_share(const std::vector<DeviceUse>& ranks) {
  std::map<std::string, DeviceUse> hosts;
  for (const DeviceUse& rank : ranks) {
    if (rank.busy < 0) return -1;
    DeviceUse& host = hosts.try_emplace(rank.host, DeviceUse{.busy = 0}).first->second;
    host.busy = std::max(host.busy, rank.busy);
    host.wall = std::max(host.wall, rank.wall);
    host.cpus = rank.cpus;
    host.own += rank.own;
  }
  double most = 0;
  for (const auto& [name, host] : hosts) {
    // The kernel counts in hundredths of a second: below some of them the difference is noise.
    if (host.wall < 0.2) continue;
    most = std::max(most, (host.busy - host.own) / (host.wall * host.cpus));
  }
  return most;
}

bool quiet(const std::vector<DeviceUse>& ranks) {
  for (const DeviceUse& rank : ranks)
    if (rank.seen_another) return false;
  if (!ranks.empty() && ranks.front().gpu) return true;
  const double share = foreign_share(ranks);
  return share >= 0 && share <= kForeignShareLimit;
}

bool stopped(const std::vector<DeviceUse>& ranks) {
  return std::any_of(ranks.begin(), ranks.end(),
                     [](const DeviceUse& rank) { return rank.stopped; });
}

}  // namespace tarflow::experiments
