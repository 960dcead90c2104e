#include "framework/checkpoint/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

#include "framework/checkpoint/pickle_opcodes.h"
#include "framework/checkpoint/pickle_rebuild.h"

namespace tarflow::checkpoint {
namespace {

class Interpreter {
 public:
  Interpreter(std::string_view data, size_t begin, const std::string& origin)
      : bytes_(data, begin, origin), origin_(origin) {
    out_.data = data;
  }

  Pickle run() {
    try {
      interpret();
    } catch (const Malformed& malformed) {
      throw Error(fmt::format("{}: {} (byte {} of the pickle)", origin_, malformed.what, op_at_),
                  "the file is damaged, or was not written by torch.save");
    }
    return std::move(out_);
  }

 private:
  void interpret() {
    while (true) {
      op_at_ = bytes_.position();
      const uint8_t op = fixed<uint8_t>();
      if (op == kStop) break;
      if (literal(op) || text(op) || memo(op) || stack(op) || call(op) || container(op)) continue;
      refuse(op);
    }
    out_.root = pop();
    out_.end = bytes_.position();
  }

  // --- errors
  template <typename... Args>
  [[noreturn]] static void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw Malformed{fmt::format(format, std::forward<Args>(args)...)};
  }

  [[noreturn]] void refuse(uint8_t op) const {
    std::string name = fmt::format("0x{:02x}", op);
    for (const auto& [code, text] : kRefused) {
      if (code == op) name = text;
    }
    throw Error(fmt::format("{}: refused the pickle opcode {} at byte {}", origin_, name, op_at_),
                "only tensors and plain containers are read, and nothing in the file was executed");
  }

  std::string_view take(uint64_t count) { return bytes_.take(count); }
  std::string_view line() { return bytes_.line(); }
  template <typename T>
  T fixed() {
    return bytes_.fixed<T>();
  }

  // --- the stack
  ValueId add(Kind kind, uint32_t index = 0, int64_t number = 0) {
    if (out_.values.size() >= kMaxPickleValues) fail("more than {} values", kMaxPickleValues);
    out_.values.push_back({kind, index, number});
    return static_cast<ValueId>(out_.values.size() - 1);
  }

  void push(ValueId id) {
    if (stack_.size() >= kMaxPickleValues)
      fail("more than {} values on the stack", kMaxPickleValues);
    stack_.push_back(id);
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  ValueId pop() {
    if (stack_.size() <= floor()) fail("the stack is empty");
    const ValueId id = stack_.back();
    stack_.pop_back();
    return id;
  }

  ValueId top() const {
    if (stack_.size() <= floor()) fail("the stack is empty");
    return stack_.back();
  }

  std::vector<ValueId> pop_to_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    std::vector<ValueId> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()),
                               stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  std::vector<ValueId> pop_many(size_t count) {
    if (stack_.size() < floor() + count) fail("the stack is empty");
    std::vector<ValueId> items(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  bool stack(uint8_t op) {
    switch (op) {
      case kMark:
        if (marks_.size() >= kMaxPickleValues) fail("more than {} open marks", kMaxPickleValues);
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        stack_.size() > floor() ? void(pop()) : void(pop_to_mark());
        return true;
      case kPopMark:
        pop_to_mark();
        return true;
      case kDup:
        push(top());
        return true;
      default:
        return false;
    }
  }

  // --- containers
  void push_container(Kind kind, std::vector<ValueId> items = {}) {
    if (kind == Kind::kDict && items.size() % 2) fail("a key without a value");
    count_items(items.size());
    out_.containers.push_back(std::move(items));
    push(add(kind, static_cast<uint32_t>(out_.containers.size() - 1)));
  }

  // A container can be filled from the memo again and again, so what all of them hold is bounded.
  void count_items(size_t count) {
    items_ += count;
    if (items_ > 4 * kMaxPickleValues)
      fail("more than {} items in containers", 4 * kMaxPickleValues);
  }

  void extend(Kind kind, const std::vector<ValueId>& items) {
    const Value& target = out_.value(top());
    if (target.kind != kind) fail("items are added to what cannot hold them");
    if (kind == Kind::kDict && items.size() % 2) fail("a key without a value");
    count_items(items.size());
    std::vector<ValueId>& into = out_.containers[target.index];
    into.insert(into.end(), items.begin(), items.end());
  }

  bool container(uint8_t op) {
    for (const ContainerOp& row : kContainerOps) {
      if (row.op != op) continue;
      std::vector<ValueId> items = row.takes == kAllAboveMark ? pop_to_mark() : pop_many(row.takes);
      row.fills ? extend(row.kind, items) : push_container(row.kind, std::move(items));
      return true;
    }
    return false;
  }

  // --- numbers and constants
  void push_int(int64_t number) { push(add(Kind::kInt, 0, number)); }
  void push_float(double number) { push(add(Kind::kFloat, 0, std::bit_cast<int64_t>(number))); }

  void push_bytes(Kind kind, std::string_view bytes) {
    if (bytes.size() > std::numeric_limits<uint32_t>::max())
      fail("a text of {} bytes", bytes.size());
    push(add(kind, static_cast<uint32_t>(bytes.size()), bytes.data() - out_.data.data()));
  }

  // Two's complement, little-endian.
  void push_long(std::string_view bytes) {
    if (bytes.size() > sizeof(int64_t)) return push_bytes(Kind::kBigInt, bytes);
    const bool negative = !bytes.empty() && (bytes.back() & 0x80);
    int64_t number = negative ? -1 : 0;
    std::memcpy(&number, bytes.data(), bytes.size());
    push_int(number);
  }

  void push_decimal(std::string_view digits) {
    int64_t number = 0;
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (end != digits.data() + digits.size() || failed == std::errc::invalid_argument) {
      fail("`{}` is not an integer", printable(digits));
    }
    if (failed == std::errc::result_out_of_range) return push_bytes(Kind::kBigInt, digits);
    push_int(number);
  }

  void push_decimal_float(std::string_view digits) {
    double number = 0;
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failed != std::errc() || end != digits.data() + digits.size()) {
      fail("`{}` is not a number", printable(digits));
    }
    push_float(number);
  }

  void push_bool(bool value) { push(add(Kind::kBool, 0, value)); }

  void push_long4() {
    const int32_t count = fixed<int32_t>();
    if (count < 0) fail("an integer of {} bytes", count);
    push_long(take(static_cast<uint64_t>(count)));
  }

  void push_int_line() {  // protocol 1 writes bools as I00 and I01
    const std::string_view digits = line();
    if (digits == "00" || digits == "01") return push_bool(digits == "01");
    push_decimal(digits);
  }

  void push_long_line() {
    std::string_view digits = line();
    if (digits.ends_with('L')) digits.remove_suffix(1);
    push_decimal(digits);
  }

  void push_big_endian_float() {
    std::string bytes(take(sizeof(double)));
    std::reverse(bytes.begin(), bytes.end());
    double number;
    std::memcpy(&number, bytes.data(), sizeof number);
    push_float(number);
  }

  bool literal(uint8_t op) {
    switch (op) {
      case kProto:
        check_protocol(fixed<uint8_t>());
        return true;
      case kFrame:
        fixed<uint64_t>();
        return true;  // a hint for buffering; what it holds is read as ever
      case kNoneOp:
        push(add(Kind::kNone));
        return true;
      case kNewTrue:
        push_bool(true);
        return true;
      case kNewFalse:
        push_bool(false);
        return true;
      case kBinInt:
        push_int(fixed<int32_t>());
        return true;
      case kBinInt1:
        push_int(fixed<uint8_t>());
        return true;
      case kBinInt2:
        push_int(fixed<uint16_t>());
        return true;
      case kInt:
        push_int_line();
        return true;
      case kLong:
        push_long_line();
        return true;
      case kLong1:
        push_long(take(fixed<uint8_t>()));
        return true;
      case kLong4:
        push_long4();
        return true;
      case kFloat:
        push_decimal_float(line());
        return true;
      case kBinFloat:
        push_big_endian_float();
        return true;
      default:
        return false;
    }
  }

  void check_protocol(uint8_t protocol) const {
    if (protocol > 5) fail("pickle protocol {} is unknown", protocol);
  }

  bool text(uint8_t op) {
    switch (op) {
      case kShortBinString:
      case kShortBinBytes:
      case kShortBinUnicode:
        push_bytes(Kind::kText, take(fixed<uint8_t>()));
        return true;
      case kBinString:
      case kBinBytes:
      case kBinUnicode:
        push_bytes(Kind::kText, take(fixed<uint32_t>()));
        return true;
      case kBinBytes8:
      case kByteArray8:
      case kBinUnicode8:
        push_bytes(Kind::kText, take(fixed<uint64_t>()));
        return true;
      case kUnicode: {
        const std::string_view found = line();
        if (found.find('\\') != std::string_view::npos) fail("an escape in a text of protocol 0");
        push_bytes(Kind::kText, found);
        return true;
      }
      default:
        return false;
    }
  }

  // --- the memo
  void put(uint32_t slot) {
    if (memo_.size() >= kMaxPickleValues) fail("more than {} values in the memo", kMaxPickleValues);
    memo_[slot] = top();
  }

  void get(uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) fail("the memo has no value {}", slot);
    push(found->second);
  }

  uint32_t slot_line() {
    const std::string_view digits = line();
    uint32_t slot = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), slot);
    if (failed != std::errc() || end != digits.data() + digits.size()) {
      fail("`{}` is no place in the memo", printable(digits));
    }
    return slot;
  }

  bool memo(uint8_t op) {
    switch (op) {
      case kPut:
        put(slot_line());
        return true;
      case kBinPut:
        put(fixed<uint8_t>());
        return true;
      case kLongBinPut:
        put(fixed<uint32_t>());
        return true;
      case kMemoize:
        put(static_cast<uint32_t>(memo_.size()));
        return true;
      case kGet:
        get(slot_line());
        return true;
      case kBinGet:
        get(fixed<uint8_t>());
        return true;
      case kLongBinGet:
        get(fixed<uint32_t>());
        return true;
      default:
        return false;
    }
  }

  // --- globals, and the few calls that are understood instead of made
  bool call(uint8_t op) {
    switch (op) {
      case kGlobalOp: {
        const std::string_view module = line();
        push_global(module, line());
        return true;
      }
      case kStackGlobal: {
        const Value name = out_.value(pop()), module = out_.value(pop());
        if (name.kind != Kind::kText || module.kind != Kind::kText) fail("a global without a name");
        push_global(out_.text(module), out_.text(name));
        return true;
      }
      case kReduce:
      case kNewObj:
        reduce();
        return true;
      case kBuild: {  // an OrderedDict's state is `_metadata`: versions of modules, of no use here
        pop();
        if (out_.value(top()).kind != Kind::kDict) fail("BUILD of what is no OrderedDict");
        return true;
      }
      case kBinPersId:
        push_storage(out_.value(pop()));
        return true;
      default:
        return false;
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    const auto id = find_global(module, name);
    if (!id) {
      throw Error(
          fmt::format("{}: refused the global {}.{} at byte {}", origin_, printable(module),
                      printable(name), op_at_),
          "only tensors and plain containers are read, and nothing in the file was executed; "
          "save the model's state_dict() alone");
    }
    push(add(Kind::kGlobal, *id));
  }

  void reduce() {
    const Value arguments = out_.value(pop());
    const Value callee = out_.value(pop());
    if (arguments.kind != Kind::kTuple || callee.kind != Kind::kGlobal) {
      fail("a call of what is no known global");
    }
    if (out_.items(arguments).size() > kMaxArguments) fail("a call with too many arguments");
    const std::vector<ValueId> items = out_.items(arguments);
    switch (callee.index) {
      case kRebuildTensor:
      case kRebuildTensorV2:
      case kRebuildTensorV3:
        return push_tensor(rebuild_tensor(out_, callee.index, items));
      case kRebuildParameter:  // (tensor, requires_grad, hooks)
        if (items.size() != 3 || out_.value(items[0]).kind != Kind::kTensor)
          fail("a parameter of no tensor");
        return push(items[0]);
      case kSize:
        if (items.size() != 1 || out_.value(items[0]).kind != Kind::kTuple)
          fail("a torch.Size of no tuple");
        return push(items[0]);
      default:
        return push_made(make_plain(out_, callee.index, items));
    }
  }

  void push_tensor(TensorRef tensor) {
    if (out_.tensors.size() >= kMaxTensors) fail("more than {} tensors", kMaxTensors);
    out_.tensors.push_back(std::move(tensor));
    push(add(Kind::kTensor, static_cast<uint32_t>(out_.tensors.size() - 1)));
  }

  void push_storage(const Value& id) {
    if (out_.storages.size() >= kMaxTensors) fail("more than {} storages", kMaxTensors);
    out_.storages.push_back(storage_from_persistent_id(out_, id));
    push(add(Kind::kStorage, static_cast<uint32_t>(out_.storages.size() - 1)));
  }

  void push_made(const Made& made) {
    if (const ValueId* value = std::get_if<ValueId>(&made)) return push(*value);
    const NewContainer& container = std::get<NewContainer>(made);
    push_container(container.kind, container.items);
  }

  Pickle out_;
  ByteCursor bytes_;
  size_t op_at_ = 0;
  const std::string& origin_;
  std::vector<ValueId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, ValueId> memo_;
  size_t items_ = 0;
};

}  // namespace

Pickle parse_pickle(std::string_view data, size_t begin, const std::string& origin) {
  return Interpreter(data, begin, origin).run();
}

std::string printable(std::string_view text, size_t longest) {
  std::string out;
  for (const char c : text.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text.size() > longest ? out + "..." : out;
}

}  // namespace tarflow::checkpoint
