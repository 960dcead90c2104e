#include "framework/checkpoint/writer.h"

#include "framework/checkpoint/checkpoint.h"
#include "tests/checkpoint/support.h"

#ifdef TARFLOW_HAVE_RAPIDCHECK
#include <rapidcheck.h>
#endif

namespace tarflow::checkpoint {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename Raw>
TensorToWrite tensor(const std::string& name, DType dtype, std::vector<int64_t> shape,
                     const std::vector<Raw>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(Raw));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return {name, dtype, std::move(shape), [bytes] { return bytes; }};
}

TEST(Writer, WhatIsWrittenReadsBack) {
  testing::TemporaryFolder folder;
  write_checkpoint(folder / "new/a.pth",
                   {tensor<float>("b.weight", DType::kFloat32, {2, 3}, {0, 1, 2, 3, 4, 5}),
                    tensor<int64_t>("count", DType::kInt64, {}, {-7}),
                    tensor<uint16_t>("half", DType::kBFloat16, {2}, {0x3fc0, 0xc000}),
                    tensor<float>("empty", DType::kFloat32, {0, 4}, {}),
                    tensor<uint8_t>("flags", DType::kBool, {3}, {1, 0, 1})});
  const Checkpoint checkpoint = Checkpoint::open(folder / "new/a.pth");
  ASSERT_EQ(checkpoint.tensors().size(), 5u);
  EXPECT_EQ(checkpoint.tensors()[0].name, "b.weight");
  EXPECT_EQ(checkpoint.tensors()[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_THAT(checkpoint.read_f32("b.weight"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(checkpoint.read_i64("count"), ElementsAre(-7));
  EXPECT_THAT(checkpoint.read_f32("half"), ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(checkpoint.read_f32("empty"), IsEmpty());
  EXPECT_EQ(checkpoint.find("empty")->shape, (std::vector<int64_t>{0, 4}));
  EXPECT_THAT(checkpoint.read_i64("flags"), ElementsAre(1, 0, 1));
}

TEST(Writer, StoragesAreAlignedAndUncompressed) {
  testing::TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < 12; ++i) {  // entry names of several lengths
    const std::vector<float> values(static_cast<size_t>(3 + 5 * i), static_cast<float>(1000 + i));
    tensors.push_back(tensor(testing::cat("t", std::to_string(i)), DType::kFloat32,
                             {static_cast<int64_t>(values.size())}, values));
  }
  write_checkpoint(folder / "a.pth", tensors);
  const std::string bytes = read_file(folder / "a.pth");
  for (int i = 0; i < 12; ++i) {
    const size_t at = bytes.find(testing::little_endian(static_cast<float>(1000 + i)));
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(at % 64, 0u) << i;
  }
}

TEST(Writer, TheSameTensorsMakeTheSameFile) {
  testing::TemporaryFolder folder;
  const std::vector<TensorToWrite> tensors = {tensor<float>("a", DType::kFloat32, {2}, {1, 2})};
  write_checkpoint(folder / "one.pth", tensors);
  write_checkpoint(folder / "two.pth", tensors);
  EXPECT_EQ(read_file(folder / "one.pth"), read_file(folder / "two.pth"));
}

TEST(Writer, AFailureLeavesTheFileThatWasThere) {
  testing::TemporaryFolder folder;
  write_file(folder / "a.pth", "before");
  TensorToWrite failing = tensor<float>("a", DType::kFloat32, {2}, {1, 2});
  failing.bytes = []() -> std::vector<std::byte> { throw Error("no weights today"); };
  EXPECT_THAT(error_of([&] { write_checkpoint(folder / "a.pth", {failing}); }),
              HasSubstr("no weights today"));
  failing.bytes = [] { return std::vector<std::byte>(7); };
  EXPECT_THAT(error_of([&] { write_checkpoint(folder / "a.pth", {failing}); }),
              HasSubstr("7 bytes"));
  EXPECT_EQ(read_file(folder / "a.pth"), "before");
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);  // nothing half-written is left
}

TEST(Writer, ImpossibleTensorsAreNamed) {
  testing::TemporaryFolder folder;
  const auto error = [&](const std::vector<TensorToWrite>& tensors) {
    return error_of([&] { write_checkpoint(folder / "a.pth", tensors); });
  };
  const int64_t huge = int64_t{1} << 62;
  EXPECT_THAT(error({tensor<float>("wide", DType::kFloat32, {huge, 8}, {})}), HasSubstr("wide"));
  EXPECT_THAT(error({tensor<float>("wide", DType::kFloat32, {0, huge, 8}, {})}), HasSubstr("wide"));
  EXPECT_THAT(error({tensor<float>("minus", DType::kFloat32, {-1}, {})}), HasSubstr("minus"));
  EXPECT_THAT(error({tensor<uint16_t>("odd", DType::kUInt16, {1}, {1})}), HasSubstr("uint16"));
  const TensorToWrite twice = tensor<float>("twice", DType::kFloat32, {1}, {1});
  EXPECT_THAT(error({twice, twice}), HasSubstr("two tensors are named twice"));
}

#ifdef TARFLOW_HAVE_RAPIDCHECK
TEST(Writer, AnyShapesRoundTrip) {
  testing::TemporaryFolder folder;
  EXPECT_TRUE(rc::check("tensors of any shape read back", [&] {
    std::vector<TensorToWrite> tensors;
    std::vector<std::vector<float>> values;
    for (int count = *rc::gen::inRange(0, 6); count > 0; --count) {
      const auto dimensions = *rc::gen::inRange<size_t>(0, 6);
      const auto shape =
          *rc::gen::container<std::vector<int64_t>>(dimensions, rc::gen::inRange<int64_t>(0, 5));
      size_t elements = 1;
      for (const int64_t side : shape) elements *= static_cast<size_t>(side);
      std::vector<float> content(elements);
      for (size_t i = 0; i < elements; ++i) content[i] = static_cast<float>(i) - 3;
      values.push_back(content);
      tensors.push_back(
          tensor(testing::cat("x.", std::to_string(count)), DType::kFloat32, shape, content));
    }
    write_checkpoint(folder / "a.pth", tensors);
    const Checkpoint checkpoint = Checkpoint::open(folder / "a.pth");
    RC_ASSERT(checkpoint.tensors().size() == tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      RC_ASSERT(checkpoint.tensors()[i].shape == tensors[i].shape);
      RC_ASSERT(checkpoint.read_f32(tensors[i].name) == values[i]);
    }
  }));
}
#endif

}  // namespace
}  // namespace tarflow::checkpoint
