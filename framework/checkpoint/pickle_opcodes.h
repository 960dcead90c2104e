// The opcodes of pickles, and the bytes they are read from. Used by the interpreter alone.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "framework/checkpoint/pickle.h"

namespace tarflow::checkpoint {

// Opcodes by the names of Python's pickletools.
enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloat = 'F',
  kInt = 'I',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kLong = 'L',
  kBinInt2 = 'M',
  kNoneOp = 'N',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kUnicode = 'V',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobalOp = 'c',
  kDictOp = 'd',
  kAppends = 'e',
  kGet = 'g',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kListOp = 'l',
  kPut = 'p',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTupleOp = 't',
  kSetItems = 'u',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinFloat = 'G',
  kBinPersId = 'Q',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kEmptyDict = '}',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

// How an opcode makes or fills a container.
inline constexpr size_t kAllAboveMark = SIZE_MAX;
struct ContainerOp {
  uint8_t op;
  Kind kind;
  size_t takes;  // values from the stack
  bool fills;  // the container below them, which must be of `kind`; otherwise a new one is made of
               // them
};
inline constexpr ContainerOp kContainerOps[] = {
    {kEmptyTuple, Kind::kTuple, 0, false},
    {kEmptyList, Kind::kList, 0, false},
    {kEmptyDict, Kind::kDict, 0, false},
    {kEmptySet, Kind::kSet, 0, false},
    {kTuple1, Kind::kTuple, 1, false},
    {kTuple2, Kind::kTuple, 2, false},
    {kTuple3, Kind::kTuple, 3, false},
    {kTupleOp, Kind::kTuple, kAllAboveMark, false},
    {kListOp, Kind::kList, kAllAboveMark, false},
    {kDictOp, Kind::kDict, kAllAboveMark, false},
    {kFrozenSet, Kind::kSet, kAllAboveMark, false},
    {kAppend, Kind::kList, 1, true},
    {kAppends, Kind::kList, kAllAboveMark, true},
    {kSetItem, Kind::kDict, 2, true},
    {kSetItems, Kind::kDict, kAllAboveMark, true},
    {kAddItems, Kind::kSet, kAllAboveMark, true},
};

// Names of the opcodes that are refused.
inline constexpr std::pair<uint8_t, const char*> kRefused[] = {
    {'P', "PERSID"},       {'S', "STRING"},
    {'i', "INST"},         {'o', "OBJ"},
    {0x82, "EXT1"},        {0x83, "EXT2"},
    {0x84, "EXT4"},        {0x92, "NEWOBJ_EX"},
    {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
};

// Reads forward and throws TruncatedPickle at the end of the data.
class ByteCursor {
 public:
  ByteCursor(std::string_view data, size_t begin, const std::string& origin)
      : data_(data), position_(begin), origin_(origin) {}

  size_t position() const { return position_; }

  std::string_view take(uint64_t count) {
    if (count > data_.size() - position_) {
      throw TruncatedPickle(
          fmt::format("{}: the pickle ends early, after byte {}", origin_, position_),
          "the file is cut short or damaged: copy or download it again");
    }
    const std::string_view taken = data_.substr(position_, count);
    position_ += count;
    return taken;
  }

  template <typename T>
  T fixed() {  // little-endian
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view line() {  // without its newline
    const size_t end = data_.find('\n', position_);
    if (end == std::string_view::npos) take(data_.size() - position_ + 1);
    const std::string_view found = take(end - position_);
    take(1);
    return found;
  }

 private:
  std::string_view data_;
  size_t position_;
  const std::string& origin_;
};

}  // namespace tarflow::checkpoint
