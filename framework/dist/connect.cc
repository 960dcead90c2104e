#include "framework/dist/connect.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "framework/dist/addresses.h"
#include "framework/dist/store_communicator.h"
#include "framework/dist/store_link.h"

namespace tarflow::dist {
namespace {

std::string first_line(const std::exception& failure) {
  const std::string text = failure.what();
  return text.substr(0, text.find('\n'));
}

StoreLink open_store(const RankPlace& place) {
  try {
    return StoreLink::serve(place.port, place.listening);
  } catch (const std::exception& failure) {
    throw Error(fmt::format("rank 0 cannot open port {} for the other ranks: {}", place.port,
                            first_line(failure)),
                "another program may use it; MASTER_PORT, the same for all ranks, names another");
  }
}

StoreLink join_store(const std::string& address, const RankPlace& place, const Limits& limits) {
  try {
    return StoreLink::join(address, place.port, limits.connect);
  } catch (const std::exception& failure) {
    throw Error(
        fmt::format("rank {} does not reach rank 0 at {}:{} within {:.0f} s: {}", place.rank,
                    address, place.port, std::chrono::duration<double>(limits.connect).count(),
                    first_line(failure)),
        "is rank 0 alive, and does the firewall let this host reach it? MASTER_ADDR, the "
        "same for all ranks, names another address of its host");
  }
}

// Of rank 0's host, as a number.
std::string known_address(const RankPlace& place, const Limits& limits) {
  for (const std::string& host : {place.address, place.other_address}) {
    if (host.empty()) continue;
    const std::vector<std::string> addresses = addresses_of(host);
    if (!addresses.empty()) return listening_address(addresses, place.port, limits.connect);
  }
  throw Error(
      fmt::format("the host of rank 0, {}, has no address that this host knows", place.address),
      "MASTER_ADDR, the same for all ranks, names its host in a way that all know");
}

}  // namespace

std::unique_ptr<Communicator> connect(const RankPlace& place, const at::Device& device,
                                      const Limits& limits) {
  if (place.size == 1) return one_process();
  const bool serves = place.rank == 0 && !place.store_is_theirs;
  // Rank 0 reaches its own store whatever its name is.
  const std::string address = serves ? "127.0.0.1" : known_address(place, limits);
  look_hosts_up_in_files();
  StoreLink link = serves ? open_store(place) : join_store(address, place, limits);
  StoreLink beats = join_store(address, place, limits);
  std::optional<StoreLink> nccl;
  if (device.is_cuda()) nccl = join_store(address, place, limits);
  return store_communicator(place, device, limits, std::move(link), std::move(beats),
                            std::move(nccl));
}

}  // namespace tarflow::dist
