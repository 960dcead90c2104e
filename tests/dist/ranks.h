// Ranks as threads of one process.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "framework/dist/connect.h"

namespace tarflow::dist {

struct Socket {
  int listening = -1;
  uint16_t port = 0;
};

// A free port of the loopback interface, taken.
inline Socket listening_socket() {
  Socket socket;
  socket.listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(socket.listening, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(socket.listening, 64) != 0 ||
      ::getsockname(socket.listening, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw std::runtime_error("no port is free");
  socket.port = ntohs(address.sin_port);
  return socket;
}

// Runs `act` as each of `size` ranks, which are threads; returns what each threw, "" where none
// did.
inline std::vector<std::string> as_ranks(
    int size, const std::function<void(Communicator&)>& act, const Limits& limits = {},
    const std::function<at::Device(int)>& device = [](int) { return at::Device(at::kCPU); }) {
  const Socket socket = listening_socket();
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      RankPlace place;
      place.rank = place.local_rank = rank;
      place.size = size;
      place.address = "127.0.0.1";
      place.port = socket.port;
      if (rank == 0) place.listening = socket.listening;
      try {
        const std::unique_ptr<Communicator> comm = connect(place, device(rank), limits);
        act(*comm);
      } catch (const std::exception& failure) {
        errors[static_cast<size_t>(rank)] = failure.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

inline void expect_no_errors(const std::vector<std::string>& errors) {
  for (size_t rank = 0; rank < errors.size(); ++rank) EXPECT_EQ(errors[rank], "") << rank;
}

}  // namespace tarflow::dist
