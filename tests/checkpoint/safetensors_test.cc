// Files of the safetensors library are read; headers that lie are refused.
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/tarflow_state.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using testing::fixture;
using ::testing::HasSubstr;
using testing::little_endian;

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(static_cast<uint64_t>(header.size())) + header + data;
}

// {"NAME":{"dtype":...}} of one tensor.
std::string entry(const std::string& name, const std::string& shape, uint64_t begin, uint64_t end,
                  const std::string& dtype = "F32") {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

class Safetensors : public ::testing::Test {
 protected:
  // The message with which a file of this header and 64 bytes of tensors is refused.
  std::string refusal(const std::string& header, size_t data = 64) {
    write_file(folder_ / "a.safetensors", file_of(header, std::string(data, '\0')));
    return error_of([&] { Checkpoint::open(folder_ / "a.safetensors"); });
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Safetensors, OfTheLibraryAreRead) {
  const Checkpoint file = Checkpoint::open(fixture("dtypes.safetensors"));
  EXPECT_EQ(file.tensors().size(), 9u);
  for (const char* name : {"float32", "float16", "float64"})
    EXPECT_THAT(file.read_f32(name), ElementsAre(1.5, -2, 0.25)) << name;
  EXPECT_THAT(file.read_f64("float64"), ElementsAre(1.5, -2, 0.25));
  EXPECT_THAT(file.read_i64("int64"), ElementsAre(1, -2, 3));
  EXPECT_THAT(file.read_i64("uint8"), ElementsAre(1, 2, 255));
  EXPECT_THAT(file.read_i64("bool"), ElementsAre(1, 0, 1));
  EXPECT_THAT(file.read_f32("matrix"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(file.find("matrix")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_TRUE(file.find("matrix")->contiguous());
  EXPECT_THAT(file.read_i64("scalar"), ElementsAre(7));
  EXPECT_TRUE(file.read_f32("empty").empty());
  EXPECT_EQ(file.find("__metadata__"), nullptr);
  EXPECT_THAT(Checkpoint::open(fixture("bfloat16.safetensors")).read_f32("bfloat16"),
              ElementsAre(1.5, -2, 0.25));
  EXPECT_TRUE(Checkpoint::open(fixture("no_tensors.safetensors")).tensors().empty());
}

TEST_F(Safetensors, AreKnownByTheirContentWhateverTheirName) {
  std::filesystem::copy_file(fixture("dtypes.safetensors"), folder_ / "a.pth");
  EXPECT_THAT(Checkpoint::open(folder_ / "a.pth").read_i64("scalar"), ElementsAre(7));
  // A header of 0x80 bytes begins like a pickle.
  std::string header = "{" + entry("x", "[2]", 0, 8) + "}";
  header.resize(0x80, ' ');
  write_file(folder_ / "b.pth", file_of(header, little_endian(1.f) + little_endian(2.f)));
  EXPECT_THAT(Checkpoint::open(folder_ / "b.pth").read_f32("x"), ElementsAre(1, 2));
}

TEST_F(Safetensors, OffsetsAreChecked) {
  const auto two = [](const std::string& a, const std::string& b) {
    return "{" + a + "," + b + "}";
  };
  EXPECT_THAT(refusal(two(entry("a", "[8]", 0, 32), entry("b", "[9]", 28, 64))),
              HasSubstr("the tensor b overlaps the tensor a"));
  EXPECT_THAT(refusal(two(entry("a", "[7]", 0, 28), entry("b", "[8]", 32, 64))),
              HasSubstr("b begins at byte 32 of the data, 4 bytes after"));
  EXPECT_THAT(refusal("{" + entry("a", "[17]", 0, 68) + "}"),
              HasSubstr("a ends at byte 68 of the data, of which the file holds 64"));
  EXPECT_THAT(refusal("{" + entry("a", "[15]", 0, 60) + "}"),
              HasSubstr("4 bytes follow the last tensor"));
  EXPECT_THAT(refusal("{" + entry("a", "[0]", 64, 0) + "}"), HasSubstr("no begin and end"));
}

TEST_F(Safetensors, SizesMustBeThoseOfShapeAndType) {
  EXPECT_THAT(refusal("{" + entry("a", "[4,4]", 0, 64, "BF16") + "}"),
              AllOf(HasSubstr("a of shape (4, 4)"), HasSubstr("bfloat16 has 64 bytes")));
  for (const char* shape : {"[4611686018427387904,4]", "[9223372036854775807]", "[0,5]", "[]"})
    EXPECT_THAT(refusal("{" + entry("a", shape, 0, 64) + "}"), HasSubstr("has 64 bytes")) << shape;
  for (const char* shape : {"[-16]", "[1.6e1]", "[9223372036854775808]", "[\"16\"]", "[null]"})
    EXPECT_THAT(refusal("{" + entry("a", shape, 0, 64) + "}"), HasSubstr("in its `shape`"))
        << shape;
  EXPECT_THAT(refusal("{" + entry("a", "16", 0, 64) + "}"), HasSubstr("`shape` that is no list"));
  EXPECT_THAT(refusal("{" + entry("a", "[64]", 0, 64, "F8_E4M3") + "}"),
              AllOf(HasSubstr("tensor a has the type"), HasSubstr("F8_E4M3")));
}

TEST_F(Safetensors, HeadersAreChecked) {
  EXPECT_THAT(refusal("{" + entry("a", "[16]", 0, 64) + "," + entry("a", "[16]", 0, 64) + "}"),
              HasSubstr("the key a occurs twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","dtype":"I32","shape":[16],"data_offsets":[0,64]}})"),
              HasSubstr("the key dtype occurs twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[16]}})"), HasSubstr("no `data_offsets`"));
  EXPECT_THAT(refusal(R"({"a":[1]})"), HasSubstr("a has no description"));
  EXPECT_THAT(refusal("{\"a\":"), HasSubstr("the header is no JSON"));
  EXPECT_THAT(refusal("{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}"),
              HasSubstr("nested deeper"));
  write_file(folder_ / "long.safetensors", little_endian(uint64_t{90'000'000}) + "{}");
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder_ / "long.safetensors"); }),
              HasSubstr("header of 90000000 bytes"));
  write_file(folder_ / "short.safetensors", little_endian(uint64_t{900}) + "{}");
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder_ / "short.safetensors"); }),
              HasSubstr("header has 900 bytes, of which the file holds 2"));
}

TEST_F(Safetensors, EveryTruncationIsAnError) {
  const std::string bytes = read_file(fixture("dtypes.safetensors"));
  for (size_t length = 0; length < bytes.size(); ++length) {
    write_file(folder_ / "a.safetensors", bytes.substr(0, length));
    EXPECT_THROW(Checkpoint::open(folder_ / "a.safetensors"), Error) << length;
  }
}

TEST_F(Safetensors, OfOtherModelsHoldNoTarflow) {
  EXPECT_THAT(error_of([] { open_tarflow(fixture("no_tensors.safetensors")); }),
              HasSubstr("none of its 0 tensors"));
}

}  // namespace
}  // namespace tarflow::checkpoint
