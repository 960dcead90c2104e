#include "framework/dist/addresses.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include "tests/dist/ranks.h"

namespace tarflow::dist {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Addresses, AreNumbers) {
  EXPECT_THAT(addresses_of("127.0.0.1"), testing::ElementsAre("127.0.0.1"));
  EXPECT_THAT(addresses_of("localhost"), Contains(testing::AnyOf("127.0.0.1", "::1")));
  EXPECT_THAT(addresses_of("no such host"), IsEmpty());
}

TEST(Addresses, TheOneThatListensIsTaken) {
  const Socket socket = listening_socket();  // of 127.0.0.1 alone
  const std::chrono::seconds limit(5);
  EXPECT_EQ(listening_address({"127.0.0.2", "::1", "127.0.0.1"}, socket.port, limit), "127.0.0.1");
  ::close(socket.listening);
  const std::chrono::milliseconds none(0);
  EXPECT_EQ(listening_address({"127.0.0.2", "127.0.0.1"}, socket.port, none), "127.0.0.2");
  EXPECT_EQ(listening_address({"192.0.2.1"}, socket.port, limit), "192.0.2.1") << "untried";
}

// Ranks that have met ask no name server for the name of an address. The function that looks names
// up stays that of the C library.
TEST(Addresses, RanksAskNoNameServer) {
  const auto errors = as_ranks(2, [](Communicator& comm) { comm.end(0); });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ASSERT_EQ(::inet_pton(AF_INET, "192.0.2.1", &address.sin_addr), 1);  // nobody's
  char host[NI_MAXHOST];
  ASSERT_EQ(::getnameinfo(reinterpret_cast<sockaddr*>(&address), sizeof address, host, sizeof host,
                          nullptr, 0, 0),
            0);
  EXPECT_STREQ(host, "192.0.2.1");
  EXPECT_THAT(addresses_of("a.name.that.only.a.server.would.know.example"), IsEmpty());

  Dl_info place{};
  ASSERT_NE(::dladdr(::dlsym(RTLD_DEFAULT, "getnameinfo"), &place), 0);
  EXPECT_THAT(place.dli_fname, HasSubstr("libc.so"));
}

}  // namespace
}  // namespace tarflow::dist
