#include "framework/dist/pack.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "framework/core/error.h"

namespace tarflow::dist {
namespace {

TEST(Pack, TensorsComeBackAsTheyWere) {
  const Tensors sent = {
      {"features", at::rand({3, 5})},
      {"counts", at::arange(4)},
      {"bytes", at::ones({2, 2}, at::kByte)},
      {"half", at::rand({2, 3}).to(at::kBFloat16)},
      {"moments", at::rand({2, 2, 2}, at::kDouble).transpose(0, 2)},  // not contiguous
      {"none", at::empty({64, 0})},
      {"number", at::scalar_tensor(0.5)}};
  const Tensors received = unpack(pack(sent));
  ASSERT_EQ(received.size(), sent.size());
  for (const auto& [name, tensor] : sent) {
    ASSERT_TRUE(received.contains(name)) << name;
    EXPECT_EQ(received.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(received.at(name).equal(tensor)) << name;
  }
}

TEST(Pack, NoTensorsAreNoBytes) {
  EXPECT_EQ(pack({}), "");
  EXPECT_TRUE(unpack("").empty());
}

TEST(Pack, EveryTruncationIsAnError) {
  const std::string whole = pack({{"a", at::rand({3})}});
  for (size_t length = 1; length < whole.size(); ++length)
    EXPECT_THROW(unpack(whole.substr(0, length)), Error) << length;
}

TEST(Pack, NoByteCanMakeItReadElsewhere) {
  const std::string whole = pack({{"a", at::rand({2, 3})}});
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(~changed[at]);
    try {
      unpack(changed);  // a name or a value may differ and be whole
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace tarflow::dist
