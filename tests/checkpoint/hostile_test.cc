// Truncated, altered and random files: an Error or a result, never a crash, never an unbounded
// allocation.
#include <fstream>
#include <random>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/pickle.h"
#include "framework/checkpoint/tarflow_state.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using testing::fixture;

// One file that is written again and again; without fsync, unlike write_file, since there are many.
class Scratch {
 public:
  const std::filesystem::path& put(std::string_view bytes) {
    std::ofstream out(path_, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    EXPECT_TRUE(out.flush().good());
    return path_;
  }

 private:
  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "scratch.pth";
};

// Opens and reads every tensor. True when all went well, false for an Error; whatever else is
// thrown fails the test.
bool reads(const std::filesystem::path& path) {
  try {
    const Checkpoint checkpoint = Checkpoint::open(path);
    bool good = true;
    for (const TensorInfo& tensor : checkpoint.tensors()) {
      try {
        EXPECT_EQ(static_cast<int64_t>(checkpoint.read_f32(tensor.name).size()), tensor.elements());
      } catch (const Error& error) {
        EXPECT_STRNE(error.what(), "");
        good = false;
      }
    }
    return good;
  } catch (const Error& error) {
    EXPECT_STRNE(error.what(), "");
    return false;
  }
}

const char* const kFixtures[] = {"zip_state_dict.pth", "legacy_state_dict.pth", "zip_deflated.pth",
                                 "zip_views.pth",      "legacy_views.pth",      "zip_nested.pth",
                                 "legacy_nested.pth",  "zip_protocol_4.pth",    "zip_dtypes.pth",
                                 "legacy_dtypes.pth",  "dtypes.safetensors"};

TEST(Hostile, EveryTruncationIsAnError) {
  Scratch scratch;
  for (const char* name : kFixtures) {
    const std::string bytes = read_file(fixture(name));
    ASSERT_TRUE(reads(scratch.put(bytes))) << name;
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(reads(scratch.put(std::string_view(bytes).substr(0, length))))
          << name << " cut to " << length;
    }
  }
}

TEST(Hostile, FlippedBytesNeverCrash) {
  Scratch scratch;
  std::mt19937_64 random(1);
  std::vector<std::string> files;
  for (const char* name : kFixtures) files.push_back(read_file(fixture(name)));
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = files[static_cast<size_t>(i) % files.size()];
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    refused += !reads(scratch.put(bytes));
  }
  EXPECT_GT(refused, 5'000);  // most of a small file is structure, so the flips do reach it
}

TEST(Hostile, RandomFilesAreErrors) {
  Scratch scratch;
  std::mt19937_64 random(2);
  const std::string heads[] = {"", "PK\x03\x04", "PK\x05\x06", "\x80\x02",
                               testing::legacy_file("", {}, {}).substr(0, 60)};
  for (int i = 0; i < 4'000; ++i) {
    std::string bytes = heads[static_cast<size_t>(i) % std::size(heads)];
    for (uint64_t length = random() % 600; length > 0; --length)
      bytes += static_cast<char>(random());
    EXPECT_FALSE(reads(scratch.put(bytes)));
  }
}

TEST(Hostile, RandomOpcodesNeverCrash) {
  std::mt19937_64 random(3);
  const std::vector<std::string> ops = {
      "(",
      ".",
      "0",
      "1",
      "2",
      "N",
      "\x88",
      "K\x01",
      "]",
      ")",
      "}",
      "\x8f",
      "a",
      "e",
      "s",
      "u",
      "t",
      "l",
      "d",
      "\x85",
      "\x86",
      "\x87",
      "q\x01",
      "h\x01",
      "q\x02",
      "h\x02",
      "\x94",
      "\x90",
      "\x91",
      "R",
      "b",
      "Q",
      "\x81",
      "\x93",
      testing::text_op("storage"),
      testing::text_op("x"),
      testing::int_op(int64_t{1} << 62),
      "ctorch\nFloatStorage\n",
      "ctorch._utils\n_rebuild_tensor_v2\n",
      "ctorch._utils\n_rebuild_parameter\n",
      "ccollections\nOrderedDict\n",
      "ctorch\nSize\n",
      "c_codecs\nencode\n",
      "c__builtin__\nset\n",
      testing::storage_op("0", 4),
      testing::tensor_op(testing::storage_op("0", 4), 0, {2, 2}, {2, 1})};
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes;
    for (uint64_t length = 1 + random() % 20; length > 0; --length)
      bytes += ops[random() % ops.size()];
    try {
      parse_pickle(bytes + ".", 0, "random");
      ++accepted;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(accepted, 1'000);  // not all of them end at their first opcode
}

TEST(Hostile, ManyEntriesClaimedByTheDirectoryAreRefused) {
  Scratch scratch;
  // A zip64 end record that claims 2^32 entries in an empty directory.
  std::string bytes = "PK\x03\x04" + std::string(60, '\0');
  const uint64_t end = bytes.size(), entries = uint64_t{1} << 32;
  using testing::little_endian;
  bytes += "PK\x06\x06" + little_endian(uint64_t{44}) + little_endian(uint32_t{0x2d002d}) +
           std::string(8, '\0');
  bytes += little_endian(entries) + little_endian(entries) + little_endian(entries * 46) +
           little_endian(uint64_t{0});
  bytes += std::string("PK\x06\x07") + std::string(4, '\0') + little_endian(end) +
           little_endian(uint32_t{1});
  bytes += std::string("PK\x05\x06") + std::string(4, '\0') + std::string(12, '\xff') +
           std::string(2, '\0');
  EXPECT_FALSE(reads(scratch.put(bytes)));
}

}  // namespace
}  // namespace tarflow::checkpoint
