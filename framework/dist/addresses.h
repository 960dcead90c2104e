// Names and numbers of hosts.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tarflow::dist {

// The numbers of a host, in the order in which they are to be tried; empty for a name that nobody
// knows.
std::vector<std::string> addresses_of(const std::string& host);

// The first of them at which something listens on this port, tried again until `limit`; the first
// of all where nothing answers. One alone is returned untried.
std::string listening_address(const std::vector<std::string>& addresses, uint16_t port,
                              std::chrono::milliseconds limit);

// From here on this process looks hosts up in the hosts file only. LibTorch's store asks for the
// name of every address that it connects, and uses it in messages alone: a name server that does
// not answer would hold each connection up for seconds. Names that are needed are looked up before.
void look_hosts_up_in_files();

}  // namespace tarflow::dist
