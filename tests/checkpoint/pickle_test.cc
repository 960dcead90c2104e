#include "framework/checkpoint/pickle.h"

#include <bit>

#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using namespace std::string_literals;
using ::testing::AllOf;
using testing::cat;
using testing::error_of;
using ::testing::HasSubstr;
using testing::int_op;
using testing::little_endian;
using testing::storage_op;
using testing::tensor_op;
using testing::text_op;
using testing::tuple_op;

Pickle parse(std::string_view bytes) { return parse_pickle(bytes, 0, "test.pkl"); }

const Value& root(const Pickle& pickle) { return pickle.value(pickle.root); }

std::string refusal(const std::string& bytes) {
  return error_of([&] { parse(bytes); });
}

TEST(Pickle, Integers) {
  const auto number = [](const std::string& bytes) {
    const Pickle pickle = parse(bytes);
    EXPECT_EQ(root(pickle).kind, Kind::kInt);
    return root(pickle).number;
  };
  EXPECT_EQ(number("K\xff."), 255);
  EXPECT_EQ(number("M\xff\xff."), 65535);
  EXPECT_EQ(number("J\xfe\xff\xff\xff."), -2);
  EXPECT_EQ(number("\x8a\x00."s), 0);
  EXPECT_EQ(number("\x8a\x01\xff."), -1);
  EXPECT_EQ(number("\x8a\x02\xff\x00."s), 255);
  EXPECT_EQ(number("\x8b\x02\x00\x00\x00\x00\x80."s), -32768);
  EXPECT_EQ(number("I-17\n."), -17);
  EXPECT_EQ(number("L123456789012L\n."), 123456789012);
}

TEST(Pickle, IntegersBeyondInt64AreKeptAsBytes) {
  const std::string bytes = "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."s;
  const Pickle pickle = parse(bytes);
  EXPECT_EQ(root(pickle).kind, Kind::kBigInt);
  EXPECT_EQ(pickle.text(root(pickle)).size(), 9u);
}

TEST(Pickle, ConstantsFloatsAndTexts) {
  EXPECT_EQ(root(parse("N.")).kind, Kind::kNone);
  EXPECT_EQ(root(parse("\x88.")).number, 1);
  EXPECT_EQ(root(parse("I01\n.")).kind, Kind::kBool);
  EXPECT_EQ(std::bit_cast<double>(root(parse("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s)).number), 1.5);
  EXPECT_EQ(std::bit_cast<double>(root(parse("F-2.5\n.")).number), -2.5);
  for (const std::string& bytes : {"X\x02\x00\x00\x00hi."s, "\x8c\x02hi."s, "U\x02hi."s, "Vhi\n."s,
                                   "\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."s, "C\x02hi."s,
                                   "\x96\x02\x00\x00\x00\x00\x00\x00\x00hi."s}) {
    const Pickle pickle = parse(bytes);
    EXPECT_EQ(pickle.text(root(pickle)), "hi");
  }
}

TEST(Pickle, ContainersAndMemo) {
  // [[], (1, 2), {"k": <the first list>}] with the list put into the memo and got back
  const std::string bytes = "\x80\x04](]\x94K\x01K\x02\x86}\x8c\x01kh\x00se."s;
  const Pickle pickle = parse(bytes);
  const auto& items = pickle.items(root(pickle));
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(pickle.value(items[1]).kind, Kind::kTuple);
  const auto& dict = pickle.items(pickle.value(items[2]));
  ASSERT_EQ(dict.size(), 2u);
  EXPECT_EQ(dict[1], items[0]);
  EXPECT_EQ(pickle.end, bytes.size());
}

TEST(Pickle, OrderedDictOfPython2) {
  const std::string bytes =
      "ccollections\nOrderedDict\n(](](U\x01"
      "aK\x07"
      "eetR.";
  const Pickle pickle = parse(bytes);
  ASSERT_EQ(root(pickle).kind, Kind::kDict);
  EXPECT_EQ(pickle.text(pickle.value(pickle.items(root(pickle))[0])), "a");
}

TEST(Pickle, TensorOfAStorage) {
  const std::string bytes =
      tensor_op(storage_op("5", 12, "torch\nHalfStorage\n"), 2, {3, 2}, {4, 1}) + ".";
  const Pickle pickle = parse(bytes);
  ASSERT_EQ(root(pickle).kind, Kind::kTensor);
  const TensorRef& tensor = pickle.tensors.at(root(pickle).index);
  EXPECT_EQ(tensor.offset, 2);
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(tensor.strides, (std::vector<int64_t>{4, 1}));
  EXPECT_EQ(tensor.dtype, DType::kFloat16);
  EXPECT_EQ(pickle.storages.at(tensor.storage).key, "5");
  EXPECT_EQ(pickle.storages.at(tensor.storage).elements, 12);
}

TEST(Pickle, GlobalsBeyondTensorsAreNamed) {
  const std::pair<const char*, const char*> kHostile[] = {
      {"posix", "system"},      {"os", "system"},      {"builtins", "eval"},
      {"__builtin__", "exec"},  {"torch.hub", "load"}, {"subprocess", "Popen"},
      {"torch", "load"},        {"numpy", "ndarray"},  {"torch._utils", "_rebuild_sparse_tensor"},
      {"collections", "deque"}, {"_codecs", "decode"}, {"torch", "float8_e4m3fn"},
  };
  for (const auto& [module, name] : kHostile) {
    const std::string call =
        "K\x01"s + "0c" + module + "\n" + name + "\n(" + text_op("touch /tmp/x") + "tR.";
    EXPECT_THAT(refusal(call),
                AllOf(HasSubstr("test.pkl"), HasSubstr("global "s + module + "." + name),
                      HasSubstr("byte 3")));
    const std::string stack = "\x80\x04" + text_op(module) + text_op(name) + "\x93)R.";
    EXPECT_THAT(refusal(stack), HasSubstr("global "s + module + "." + name));
  }
}

TEST(Pickle, OtherOpcodesAreNamed) {
  EXPECT_THAT(refusal("NNios\nsystem\n."), HasSubstr("opcode INST at byte 2"));
  EXPECT_THAT(refusal("(No."), HasSubstr("opcode OBJ at byte 2"));
  EXPECT_THAT(refusal("P1\n."), HasSubstr("opcode PERSID at byte 0"));
  EXPECT_THAT(refusal("S'a'\n."), HasSubstr("opcode STRING at byte 0"));
  EXPECT_THAT(refusal("\x82\x01."), HasSubstr("opcode EXT1 at byte 0"));
  EXPECT_THAT(refusal("N)}\x92."), HasSubstr("opcode NEWOBJ_EX at byte 3"));
  EXPECT_THAT(refusal("\xff."), HasSubstr("opcode 0xff at byte 0"));
}

TEST(Pickle, EveryByteIsAnOpcodeOrRefused) {
  for (int op = 0; op < 256; ++op) {
    std::string bytes(17, '\0');
    bytes[0] = static_cast<char>(op);
    EXPECT_THROW(parse(bytes), Error) << op;
  }
}

TEST(Pickle, CallsOfAnythingElseAreRefused) {
  EXPECT_THAT(refusal("N)R."), HasSubstr("call"));
  EXPECT_THAT(refusal("ctorch\nFloatStorage\n)R."), HasSubstr("called"));
  EXPECT_THAT(refusal("ctorch._utils\n_rebuild_tensor_v2\n)R."), HasSubstr("0 arguments"));
  EXPECT_THAT(refusal("ctorch._utils\n_rebuild_parameter\n(NNNtR."),
              HasSubstr("parameter of no tensor"));
  EXPECT_THAT(refusal("ctorch\nSize\n(NtR."), HasSubstr("torch.Size"));
  EXPECT_THAT(refusal("ccollections\nOrderedDict\n(K\x01tR."), HasSubstr("OrderedDict"));
  EXPECT_THAT(refusal("c_codecs\nencode\n(K\x01tR."), HasSubstr("bytes of no text"));
  EXPECT_THAT(refusal("c__builtin__\nset\n(K\x01tR."), HasSubstr("set of no list"));
  EXPECT_THAT(refusal("ccollections\nCounter\n(K\x01tR."), HasSubstr("Counter of no dict"));
  EXPECT_THAT(refusal("]}b."), HasSubstr("BUILD"));
}

TEST(Pickle, TensorsOfImpossibleNumbersAreRefused) {
  const std::string storage = storage_op("0", 4);
  EXPECT_THAT(refusal(tensor_op(storage, -1, {1}, {1}) + "."),
              HasSubstr("offset in the storage is -1"));
  EXPECT_THAT(refusal(tensor_op(storage, 0, {-1}, {1}) + "."), HasSubstr("size is -1"));
  EXPECT_THAT(refusal(tensor_op(storage, 0, {2}, {-1}) + "."), HasSubstr("stride is -1"));
  EXPECT_THAT(refusal(tensor_op(storage, 0, {2}, {1, 1}) + "."), HasSubstr("unequal"));
  EXPECT_THAT(refusal(tensor_op(storage, 0, std::vector<int64_t>(65, 1), {1}) + "."),
              HasSubstr("65 dimensions"));
  EXPECT_THAT(refusal(storage_op("0", -4) + "."), HasSubstr("length is -4"));
  EXPECT_THAT(refusal(storage_op(std::string(5000, 'k'), 4) + "."), HasSubstr("key of 5000 bytes"));
  EXPECT_THAT(refusal("NQ."), HasSubstr("persistent id"));
}

TEST(Pickle, NegatedAndConjugatedViewsAreRefused) {
  const std::string storage = storage_op("0", 4);
  const std::string tensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + int_op(0) +
                             tuple_op({4}) + tuple_op({1}) + "\x89N}" + text_op("neg") + "\x88stR.";
  EXPECT_THAT(refusal(tensor), HasSubstr("negative view"));
}

TEST(Pickle, LengthsBeyondTheFileAreTruncations) {
  EXPECT_THROW(parse("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), TruncatedPickle);
  EXPECT_THROW(parse("\x8d\xff\xff\xff\xff\xff\xff\xff\x7f."), TruncatedPickle);
  EXPECT_THROW(parse("X\xff\xff\xff\xff."), TruncatedPickle);
  EXPECT_THROW(parse("\x8b\xff\xff\xff\x7f."), TruncatedPickle);
  EXPECT_THAT(refusal("\x8b\xff\xff\xff\xff."), HasSubstr("-1 bytes"));
  EXPECT_THROW(parse("\x8a\xff."), TruncatedPickle);
  EXPECT_THROW(parse("ctorch"), TruncatedPickle);
  EXPECT_THROW(parse(""), TruncatedPickle);
}

TEST(Pickle, StackAndMarksAreChecked) {
  EXPECT_THAT(refusal("."), HasSubstr("stack is empty"));
  EXPECT_THAT(refusal("t."), HasSubstr("no mark"));
  EXPECT_THAT(refusal("N(\x85."), HasSubstr("stack is empty"));  // not through the mark
  EXPECT_THAT(refusal("}(Nu."), HasSubstr("key without a value"));
  EXPECT_THAT(refusal("]NNs."), HasSubstr("cannot hold"));
  EXPECT_THAT(refusal("h\x01."), HasSubstr("memo has no value 1"));
  EXPECT_THAT(refusal("\x80\x06N."), HasSubstr("protocol 6"));
}

TEST(Pickle, DeepNestingNeitherRecursesNorCrashes) {
  std::string deep(500'000, ']');
  deep += std::string(499'999, 'a') + ".";
  const Pickle pickle = parse(deep);  // and is destroyed without recursion
  EXPECT_EQ(pickle.containers.size(), 500'000u);
}

TEST(Pickle, BombsEndAtTheLimits) {
  EXPECT_THAT(refusal(std::string(kMaxPickleValues + 2, ']')), HasSubstr("more than"));
  EXPECT_THAT(refusal(std::string(kMaxPickleValues + 2, '(')), HasSubstr("open marks"));
  EXPECT_THAT(refusal("N" + std::string(kMaxPickleValues + 2, '2')), HasSubstr("on the stack"));
  // one list of 1000 values, put into lists again and again by way of the memo
  std::string bomb =
      "N"
      "q\x01"
      "0";
  for (int i = 0; i < 10'000; ++i) {
    bomb += "](";
    for (int j = 0; j < 1000; ++j) bomb += "h\x01";
    bomb += "e";
  }
  EXPECT_THAT(refusal(bomb), HasSubstr("items in containers"));
  std::string puts = "N";
  for (uint32_t i = 0; i < kMaxPickleValues + 2; ++i) puts += cat("r", little_endian(i));
  EXPECT_THAT(refusal(puts), HasSubstr("in the memo"));
  std::string storages = cat("(", text_op("storage"), "ctorch\nFloatStorage\n", text_op("0"),
                             text_op("cpu"), "K\x01tq\x01");
  for (size_t i = 0; i < kMaxTensors + 2; ++i) storages += "h\x01Q";
  EXPECT_THAT(refusal(storages), HasSubstr("storages"));
}

TEST(Pickle, MessagesStayPrintable) {
  EXPECT_EQ(printable("a\n\xff"), "a\\x0a\\xff");
  EXPECT_EQ(printable(std::string(1000, 'x')).size(), 203u);
  EXPECT_THAT(refusal("c\x1b[31mos\nsystem\n."), HasSubstr("\\x1b[31mos.system"));
}

}  // namespace
}  // namespace tarflow::checkpoint
