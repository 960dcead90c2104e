#include "framework/checkpoint/checkpoint.h"

#include <fstream>

#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using namespace std::string_literals;
using ::testing::AllOf;
using testing::cat;
using testing::dict_pickle;
using ::testing::ElementsAre;
using testing::error_of;
using testing::fixture;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::legacy_file;
using testing::little_endian;
using testing::storage_op;
using testing::tensor_op;
using testing::text_op;
using testing::write_zip;

using Shape = std::vector<int64_t>;

std::string opening_error(const std::filesystem::path& path) {
  return error_of([&] { Checkpoint::open(path); });
}

// The module of fixtures/make_fixtures.py, whatever the format it was saved in.
class StateDict : public ::testing::TestWithParam<const char*> {};

TEST_P(StateDict, ReadsTheSame) {
  const Checkpoint checkpoint = Checkpoint::open(fixture(GetParam()));
  ASSERT_EQ(checkpoint.tensors().size(), 3u);
  const TensorInfo* weight = checkpoint.find("linear.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->shape, (Shape{2, 3}));
  EXPECT_EQ(weight->strides, (Shape{3, 1}));
  EXPECT_EQ(weight->dtype, DType::kFloat32);
  EXPECT_THAT(checkpoint.read_f32("linear.weight"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(checkpoint.read_f64("linear.bias"), ElementsAre(0.5, -0.5));
  EXPECT_EQ(checkpoint.find("count")->shape, Shape{});
  EXPECT_THAT(checkpoint.read_i64("count"), ElementsAre(7));
}

INSTANTIATE_TEST_SUITE_P(Formats, StateDict,
                         ::testing::Values("zip_state_dict.pth", "legacy_state_dict.pth",
                                           "zip_cuda.pth", "legacy_cuda.pth", "zip_deflated.pth",
                                           "zip_protocol_1.pth", "zip_protocol_3.pth",
                                           "zip_protocol_4.pth", "zip_protocol_5.pth",
                                           "legacy_protocol_1.pth"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

class BothFormats : public ::testing::TestWithParam<const char*> {
 protected:
  Checkpoint open(const std::string& name) const {
    return Checkpoint::open(fixture(GetParam() + ("_" + name + ".pth")));
  }
};
INSTANTIATE_TEST_SUITE_P(Formats, BothFormats, ::testing::Values("zip", "legacy"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(BothFormats, ReadEveryDType) {
  const Checkpoint checkpoint = open("dtypes");
  for (const char* name : {"float32", "bfloat16", "float16", "float64"}) {
    EXPECT_THAT(checkpoint.read_f32(name), ElementsAre(1.5f, -2.0f, 0.25f)) << name;
    EXPECT_THAT(checkpoint.read_f64(name), ElementsAre(1.5, -2.0, 0.25)) << name;
    EXPECT_EQ(to_string(checkpoint.find(name)->dtype), name);
    EXPECT_THAT(error_of([&] { checkpoint.read_i64(name); }),
                AllOf(HasSubstr(name), HasSubstr("integer")));
  }
  for (const char* name : {"int64", "int32", "int16", "int8"}) {
    EXPECT_THAT(checkpoint.read_i64(name), ElementsAre(1, -2, 3)) << name;
    EXPECT_THAT(checkpoint.read_f32(name), ElementsAre(1, -2, 3)) << name;
    EXPECT_EQ(to_string(checkpoint.find(name)->dtype), name);
  }
  for (const char* name : {"uint8", "uint16", "uint32", "uint64"}) {
    if (name != "uint8"s && GetParam() == "legacy"s)
      continue;  // which PyTorch does not write there
    EXPECT_THAT(checkpoint.read_i64(name), ElementsAre(1, 2, 255)) << name;
    EXPECT_EQ(to_string(checkpoint.find(name)->dtype), name);
  }
  EXPECT_THAT(checkpoint.read_i64("bool"), ElementsAre(1, 0, 1));
  EXPECT_EQ(checkpoint.read_bytes("bfloat16"),
            (std::vector<std::byte>{std::byte{0xc0}, std::byte{0x3f}, std::byte{0}, std::byte{0xc0},
                                    std::byte{0x80}, std::byte{0x3e}}));
}

TEST_P(BothFormats, ReadSharedAndStridedViews) {
  const Checkpoint checkpoint = open("views");
  EXPECT_THAT(checkpoint.read_f32("base"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  EXPECT_THAT(checkpoint.read_f32("transposed"), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
  EXPECT_THAT(checkpoint.read_f32("columns"), ElementsAre(1, 2, 5, 6, 9, 10));
  EXPECT_THAT(checkpoint.read_f32("row"), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(checkpoint.read_f32("every_other"), ElementsAre(0, 2, 8, 10));
  EXPECT_THAT(checkpoint.read_f32("scalar"), ElementsAre(11));
  EXPECT_THAT(checkpoint.read_f32("expanded"), ElementsAre(5, 5, 5, 5, 5, 5));
  EXPECT_THAT(checkpoint.read_f32("empty"), IsEmpty());
  EXPECT_EQ(checkpoint.find("empty")->shape, (Shape{0, 3}));
  EXPECT_FALSE(checkpoint.find("transposed")->contiguous());
  EXPECT_TRUE(checkpoint.find("row")->contiguous());
  EXPECT_EQ(checkpoint.find("row")->storage_key, checkpoint.find("base")->storage_key);
  const std::vector<float> permuted =
      checkpoint.read_f32("permuted");  // [k][i][j] of arange(24) in (2, 3, 4)
  ASSERT_EQ(permuted.size(), 24u);
  for (int k = 0, at = 0; k < 4; ++k) {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 3; ++j)
        EXPECT_EQ(permuted[static_cast<size_t>(at++)], i * 12 + j * 4 + k);
    }
  }
}

TEST_P(BothFormats, NestedContainersJoinTheirKeys) {
  const Checkpoint checkpoint = open("nested");
  std::vector<std::string> names;
  for (const TensorInfo& tensor : checkpoint.tensors()) names.push_back(tensor.name);
  EXPECT_THAT(names, ElementsAre("model.a.weight", "model.b", "steps.0", "steps.1.0", "steps.1.1.x",
                                 "optimizer.state.0.step"));
  EXPECT_THAT(checkpoint.read_f32("steps.1.1.x"), ElementsAre(6));
  const Checkpoint model = checkpoint.with_prefix_stripped("model.");
  ASSERT_EQ(model.tensors().size(), 2u);
  EXPECT_THAT(model.read_f32("a.weight"), ElementsAre(1, 2));
  EXPECT_EQ(model.find("steps.0"), nullptr);
  EXPECT_THAT(error_of([&] { checkpoint.with_prefix_stripped("module."); }), HasSubstr("module."));
  EXPECT_THAT(error_of([&] { model.read_f32("a.weigth"); }),
              HasSubstr("did you mean `model.a.weight`"));
}

TEST(Checkpoint, ATensorAloneHasAName) {
  EXPECT_THAT(Checkpoint::open(fixture("zip_tensor.pth")).read_f32("tensor"), ElementsAre(1, 2));
}

TEST(Checkpoint, WhatIsNoStateDictIsNamed) {
  testing::TemporaryFolder folder;
  EXPECT_THAT(opening_error(fixture("zip_big_endian.pth")),
              AllOf(HasSubstr("zip_big_endian.pth"), HasSubstr("`big`")));
  EXPECT_THAT(opening_error(fixture("zip_torchscript.pth")), HasSubstr("TorchScript"));
  write_file(folder / "plain.pth", "\x80\x02}.");
  EXPECT_THAT(opening_error(folder / "plain.pth"), HasSubstr("not one of torch.save"));
  write_zip(folder / "other.pth", {{"a/readme", "x"}});
  EXPECT_THAT(opening_error(folder / "other.pth"), HasSubstr("without NAME/data.pkl"));
}

// --- views that lie

std::string view_error(const std::string& tensor,
                       const std::string& content = std::string(16, '\0')) {
  testing::TemporaryFolder folder;
  write_zip(folder / "a.pth", {{"a/data.pkl", dict_pickle("liar", tensor)}, {"a/data/0", content}});
  return opening_error(folder / "a.pth");
}

TEST(Checkpoint, ViewsOutsideOfTheirStorageNameTheTensor) {
  const std::string storage = storage_op("0", 4);
  const int64_t huge = int64_t{1} << 62;
  for (const std::string& tensor :
       {tensor_op(storage, 0, {5}, {1}), tensor_op(storage, 1, {4}, {1}),
        tensor_op(storage, 0, {2, 2}, {3, 1}), tensor_op(storage, huge, {1}, {1}),
        tensor_op(storage, 0, {2}, {huge}), tensor_op(storage, 0, {3, 3}, {huge, huge}),
        tensor_op(storage, huge, {2}, {huge})}) {
    EXPECT_THAT(view_error(tensor),
                AllOf(HasSubstr("liar"), HasSubstr("outside of its storage of 4")));
  }
  EXPECT_THAT(view_error(tensor_op(storage, 0, {huge, 8}, {0, 0})), HasSubstr("impossible shape"));
  EXPECT_THAT(view_error(tensor_op(storage, 0, {huge, huge}, {0, 0})),
              HasSubstr("impossible shape"));
}

TEST(Checkpoint, StoragesLargerThanTheirBytesNameTheTensor) {
  for (const int64_t claimed : {int64_t{5}, int64_t{1} << 62, INT64_MAX}) {
    EXPECT_THAT(view_error(tensor_op(storage_op("0", claimed), 0, {4}, {1})),
                AllOf(HasSubstr("liar"), HasSubstr("holds 16 bytes")));
  }
  EXPECT_THAT(view_error(tensor_op(storage_op("1", 4), 0, {4}, {1})),
              HasSubstr("a/data/1 is missing"));
  EXPECT_THAT(view_error(tensor_op(storage_op("../../etc/passwd", 4), 0, {4}, {1})),
              HasSubstr("missing"));
}

TEST(Checkpoint, SizesOfOneMayHaveAnyStride) {
  testing::TemporaryFolder folder;
  const std::string tensor = tensor_op(storage_op("0", 4), 0, {4, 1, 1}, {1, INT64_MAX, INT64_MAX});
  write_zip(folder / "a.pth", {{"a/data.pkl", dict_pickle("x", tensor)},
                               {"a/data/0", little_endian(1.f) + little_endian(2.f) +
                                                little_endian(3.f) + little_endian(4.f)}});
  EXPECT_THAT(Checkpoint::open(folder / "a.pth").read_f32("x"), ElementsAre(1, 2, 3, 4));
}

TEST(Checkpoint, RepeatedElementsDoNotFillTheMemory) {
  testing::TemporaryFolder folder;
  const std::string tensor = tensor_op(storage_op("0", 4), 0, {int64_t{1} << 40}, {0});
  write_zip(folder / "a.pth",
            {{"a/data.pkl", dict_pickle("vast", tensor)}, {"a/data/0", std::string(16, '\0')}});
  const Checkpoint checkpoint = Checkpoint::open(folder / "a.pth");
  EXPECT_THAT(error_of([&] { checkpoint.read_f32("vast"); }),
              AllOf(HasSubstr("vast"), HasSubstr("repeats")));
}

TEST(Checkpoint, ContainersThatHoldEachOtherEnd) {
  testing::TemporaryFolder folder;
  // a dict that holds itself
  write_zip(folder / "self.pth", {{"a/data.pkl", "\x80\x02}q\x01" + text_op("x") + "h\x01s."}});
  EXPECT_THAT(opening_error(folder / "self.pth"), HasSubstr("nested deeper"));
  // 40 lists, each holding the one before twice: 2^40 ways to the first
  std::string bomb = "\x80\x02]q\x01";
  for (int i = 0; i < 40; ++i)
    bomb +=
        "0](h\x01h\x01"
        "eq\x01";
  write_zip(folder / "bomb.pth", {{"a/data.pkl", bomb + "."}});
  EXPECT_THAT(opening_error(folder / "bomb.pth"), HasSubstr("more than"));
  // names that grow with the depth
  std::string names = "\x80\x02";
  for (int i = 0; i < 30; ++i) names += cat("}", text_op(std::string(100, 'n')));
  names += cat("N", std::string(30, 's'), ".");
  write_zip(folder / "names.pth", {{"a/data.pkl", names}});
  EXPECT_TRUE(Checkpoint::open(folder / "names.pth").tensors().empty());
}

TEST(Checkpoint, TwoTensorsOfOneNameAreNotRead) {
  testing::TemporaryFolder folder;
  const std::string tensor = tensor_op(storage_op("0", 4), 0, {4}, {1});
  const std::string pickle = "\x80\x02}(" + text_op("a.b") + tensor + text_op("a") + "}" +
                             text_op("b") + tensor + "s" + text_op("c") + tensor + "u.";
  write_zip(folder / "a.pth", {{"a/data.pkl", pickle}, {"a/data/0", std::string(16, '\0')}});
  const Checkpoint checkpoint = Checkpoint::open(folder / "a.pth");
  EXPECT_THAT(error_of([&] { checkpoint.read_f32("a.b"); }),
              HasSubstr("two tensors are named a.b"));
  EXPECT_THAT(error_of([&] { checkpoint.with_prefix_stripped("a."); }),
              HasSubstr("two tensors are named a.b"));
  EXPECT_EQ(checkpoint.read_f32("c").size(), 4u);
}

TEST(Checkpoint, KeysOfOtherTypesNameNoTensor) {
  testing::TemporaryFolder folder;
  const std::string tensor = tensor_op(storage_op("0", 4), 0, {4}, {1});
  const std::string half = cat("G", std::string("\x3f\xe0\0\0\0\0\0\0", 8));  // 0.5
  const std::string bytes = cat("c_codecs\nencode\n(", text_op("b"), text_op("latin1"), "tR");
  for (const std::string& key :
       {half, std::string("N"), std::string("\x88"), testing::tuple_op({1, 2}), bytes,
        std::string("c__builtin__\nbytes\n)R"), testing::int_op(1),
        cat("c__builtin__\nfrozenset\n(]tR"), cat("c__builtin__\ncomplex\n(", half, half, "tR"),
        cat("ctorch\ndevice\n(", text_op("cuda"), "tR"), std::string("ctorch\nfloat32\n"),
        cat("\x8a\x0a", std::string(10, '\x11')), std::string(tensor)}) {
    const std::string odd = cat("}(", key, tensor, text_op("1"), tensor, "u");
    const std::string pickle = cat("\x80\x02}(", text_op("m"), tensor, text_op("odd"), odd, "u.");
    write_zip(folder / "a.pth", {{"a/data.pkl", pickle}, {"a/data/0", std::string(16, '\0')}});
    const Checkpoint checkpoint = Checkpoint::open(folder / "a.pth");
    EXPECT_EQ(checkpoint.read_f32("m").size(), 4u);
    EXPECT_NE(checkpoint.find("odd.1"), nullptr);
  }
}

// --- archives that lie

TEST(Checkpoint, DamagedBytesFailTheChecksum) {
  testing::TemporaryFolder folder;
  std::string bytes = read_file(fixture("zip_state_dict.pth"));
  const size_t at = bytes.find(little_endian(4.f) + little_endian(5.f));
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  write_file(folder / "a.pth", bytes);
  const Checkpoint checkpoint = Checkpoint::open(folder / "a.pth");
  EXPECT_THAT(error_of([&] { checkpoint.read_f32("linear.weight"); }), HasSubstr("CRC"));
  EXPECT_THAT(checkpoint.read_f32("linear.bias"), ElementsAre(0.5, -0.5));  // the others still read
}

TEST(Checkpoint, ZipBombsAreRefusedByTheirClaim) {
  testing::TemporaryFolder folder;
  const std::string tensor = tensor_op(storage_op("0", 4), 0, {4}, {1});
  write_zip(folder / "a.pth",
            {{"a/data.pkl", dict_pickle("x", tensor)}, {"a/data/0", std::string(1 << 20, '\0')}},
            ZIP_CM_DEFLATE);
  EXPECT_THAT(Checkpoint::open(folder / "a.pth").read_f32("x"), ElementsAre(0, 0, 0, 0));
  std::string bytes = read_file(folder / "a.pth");
  // The uncompressed size in the central directory's entry of the storage: 24 bytes after its
  // signature.
  const size_t entry = bytes.rfind("PK\x01\x02");
  ASSERT_NE(entry, std::string::npos);
  bytes.replace(entry + 24, 4, little_endian(uint32_t{0xfffffff0}));
  write_file(folder / "a.pth", bytes);
  EXPECT_THAT(opening_error(folder / "a.pth"), HasSubstr("claims to unpack"));
}

TEST(Checkpoint, OtherCompressionIsRefusedByNumber) {
  testing::TemporaryFolder folder;
  write_zip(folder / "a.pth", {{"a/data.pkl", "\x80\x02}."}});
  std::string bytes = read_file(folder / "a.pth");
  bytes.replace(bytes.rfind("PK\x01\x02") + 10, 2, little_endian(uint16_t{99}));
  write_file(folder / "a.pth", bytes);
  EXPECT_THROW(Checkpoint::open(folder / "a.pth"), Error);
}

// --- legacy files

TEST(LegacyCheckpoint, StorageViewsAddTheirOffset) {
  testing::TemporaryFolder folder;
  const auto storage = [](int64_t offset, int64_t elements) {
    return "(" + text_op("storage") + "ctorch\nFloatStorage\n" + text_op("9") + text_op("cuda:1") +
           "K\x04(" + text_op("view") + testing::int_op(offset) + testing::int_op(elements) + "ttQ";
  };
  const std::string content =
      little_endian(0.f) + little_endian(1.f) + little_endian(2.f) + little_endian(3.f);
  write_file(folder / "a.pth", legacy_file(dict_pickle("x", tensor_op(storage(1, 3), 1, {2}, {1})),
                                           {"9"}, {{4, content}}));
  EXPECT_THAT(Checkpoint::open(folder / "a.pth").read_f32("x"), ElementsAre(2, 3));
  write_file(folder / "a.pth", legacy_file(dict_pickle("x", tensor_op(storage(1, 3), 1, {3}, {1})),
                                           {"9"}, {{4, content}}));
  EXPECT_THAT(opening_error(folder / "a.pth"), HasSubstr("outside of its storage of 3"));
  write_file(folder / "a.pth", legacy_file(dict_pickle("x", tensor_op(storage(2, 3), 0, {2}, {1})),
                                           {"9"}, {{4, content}}));
  EXPECT_THAT(opening_error(folder / "a.pth"),
              HasSubstr("view of elements 2 + 3 of a storage of 4"));
}

TEST(LegacyCheckpoint, StorageCountsAreChecked) {
  testing::TemporaryFolder folder;
  const std::string pickle = dict_pickle("x", tensor_op(storage_op("9", 4), 0, {4}, {1}));
  const auto error = [&](const std::string& bytes) {
    write_file(folder / "a.pth", bytes);
    return opening_error(folder / "a.pth");
  };
  const std::string content(16, '\0');
  for (const int64_t count : {int64_t{5}, int64_t{-1}, int64_t{1} << 62, INT64_MAX}) {
    EXPECT_THAT(error(legacy_file(pickle, {"9"}, {{count, content}})),
                HasSubstr("storage 9 claims"));
  }
  EXPECT_THAT(error(legacy_file(pickle, {"9"}, {{3, content}})), HasSubstr("holds 12 bytes"));
  EXPECT_THAT(error(legacy_file(pickle, {}, {})), HasSubstr("storage 9 is missing"));
  EXPECT_THAT(error(legacy_file(pickle, {"9", "8"}, {{4, content}, {4, content}})),
              HasSubstr("8 belongs to no tensor"));
  const std::string two =
      "\x80\x02]" + storage_op("9", 4) + "a" + storage_op("9", 2, "torch\nDoubleStorage\n") + "a.";
  EXPECT_THAT(error(legacy_file(two, {"9"}, {{4, content}})), HasSubstr("two element sizes"));
}

TEST(LegacyCheckpoint, BigEndianIsRefused) {
  testing::TemporaryFolder folder;
  std::string bytes = legacy_file("\x80\x02}.", {}, {});
  bytes[bytes.find('\x88')] = '\x89';
  write_file(folder / "a.pth", bytes);
  EXPECT_THAT(opening_error(folder / "a.pth"), HasSubstr("big-endian"));
}

TEST(LegacyCheckpoint, PicklesLongerThanTheFirstReadAreFound) {
  testing::TemporaryFolder folder;
  std::string pickle = "\x80\x02}(" + text_op("filler") + text_op(std::string(3 << 20, 'f')) +
                       text_op("x") + tensor_op(storage_op("9", 1), 0, {1}, {1}) + "u.";
  write_file(folder / "a.pth", legacy_file(pickle, {"9"}, {{1, little_endian(2.5f)}}));
  EXPECT_THAT(Checkpoint::open(folder / "a.pth").read_f32("x"), ElementsAre(2.5));
}

}  // namespace
}  // namespace tarflow::checkpoint
