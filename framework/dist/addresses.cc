#include "framework/dist/addresses.h"

#include <netdb.h>
#include <nss.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <thread>

namespace tarflow::dist {
namespace {

using Found = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Found look_up(const std::string& host, const std::string& port, int flags) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  if (::getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &found) != 0)
    found = nullptr;
  return {found, &::freeaddrinfo};
}

bool listens(const std::string& number, uint16_t port) {
  const Found found = look_up(number, std::to_string(port), AI_NUMERICHOST | AI_NUMERICSERV);
  if (!found) return false;
  const int link = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (link < 0) return false;
  ::connect(link, found->ai_addr, found->ai_addrlen);
  pollfd ready{link, POLLOUT, 0};
  constexpr int kPatience = 1000;  // ms: a firewall may drop what it does not like
  int failure = 0;
  socklen_t length = sizeof failure;
  const bool answered = ::poll(&ready, 1, kPatience) == 1 &&
                        ::getsockopt(link, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 &&
                        failure == 0;
  ::close(link);
  return answered;
}

}  // namespace

std::vector<std::string> addresses_of(const std::string& host) {
  std::vector<std::string> numbers;
  const Found found = look_up(host, "", 0);
  for (const addrinfo* entry = found.get(); entry; entry = entry->ai_next) {
    char number[NI_MAXHOST];
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, number, sizeof number, nullptr, 0,
                      NI_NUMERICHOST) != 0)
      continue;
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end())
      numbers.emplace_back(number);
  }
  return numbers;
}

std::string listening_address(const std::vector<std::string>& addresses, uint16_t port,
                              std::chrono::milliseconds limit) {
  if (addresses.size() == 1) return addresses.front();
  const auto end = std::chrono::steady_clock::now() + limit;
  while (true) {
    for (const std::string& address : addresses) {
      if (listens(address, port)) return address;
    }
    if (std::chrono::steady_clock::now() >= end) return addresses.front();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

void look_hosts_up_in_files() {
  static std::once_flag once;
  std::call_once(once, [] { ::__nss_configure_lookup("hosts", "files"); });
}

}  // namespace tarflow::dist
