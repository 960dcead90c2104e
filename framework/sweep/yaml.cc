#include "framework/sweep/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "framework/core/characters.h"
#include "framework/core/file.h"

namespace tarflow::sweep {
namespace {

constexpr size_t kMaxShownColumns = 160;
constexpr size_t kMaxDuplicates = 100;  // reported; a file with more is not read by a person
constexpr size_t kMaxInvisible = 20;    // likewise

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Length of the UTF-8 sequence at `at`, 0 when it is not one (RFC 3629).
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xC2 && first < 0xE0   ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!continues(text[at + i])) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) >= 0xA0;
  const bool too_large = first == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

int characters(const std::string& text, size_t from, size_t to) {
  const char* data = text.data();
  return static_cast<int>(
      std::count_if(data + from, data + to, [](char byte) { return !continues(byte); }));
}

Mark mark_at(const Document& document, size_t offset) {
  const auto& starts = document.line_starts;
  const auto after = std::upper_bound(starts.begin(), starts.end(), offset);
  const size_t start = *std::prev(after);
  return {static_cast<int>(after - starts.begin()), characters(document.text, start, offset) + 1};
}

// yaml-cpp takes some control characters for the end of the file and guesses at other encodings, so
// that both are refused before it sees them.
void require_text(const Document& document) {
  const std::string& text = document.text;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text, at);
    if (length == 0) {
      throw Error("the file is not UTF-8 text", "save it as UTF-8",
                  {document.file, mark_at(document, at).line, mark_at(document, at).column});
    }
    const auto byte = static_cast<unsigned char>(text[at]);
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) {
      throw Error(document.problem(mark_at(document, at),
                                   fmt::format("control character 0x{:02x} in the file", byte),
                                   "remove it"));
    }
    at += length;
  }
}

void require_bytes(size_t bytes, const std::string& file) {
  if (bytes <= kMaxYamlBytes) return;
  throw Error(fmt::format("the file has {} bytes, more than the {} that a sweep may have", bytes,
                          kMaxYamlBytes),
              "state fewer values; a grid makes many points from few", {file});
}

// `last_line`: where the last value that could be read begins.
std::string syntax_repair(const Document& document, Mark mark, int last_line,
                          const std::string& message) {
  const auto has = [&](const char* part) { return message.find(part) != std::string::npos; };
  if (mark.line >= 1 && static_cast<size_t>(mark.line) <= document.line_starts.size()) {
    const size_t start = document.line_starts[static_cast<size_t>(mark.line) - 1];
    const size_t first = document.text.find_first_not_of(" \t", start);
    if (first != std::string::npos &&
        document.text.substr(start, first - start).find('\t') != std::string::npos) {
      return "indent with spaces, not with tabs";
    }
  }
  if (has("EOF")) return fmt::format("a quote opened on line {} or below is not closed", last_line);
  if (has("flow")) return "a `[` or `{` is not closed, or a comma is missing";
  if (has("illegal map value")) return "quote a value that holds `: `, or check the indentation";
  if (has("end of map") || has("end of sequence") || has("illegal block")) {
    return "check the indentation of this line and of those above";
  }
  return "";
}

Problem invisible(const Document& document, size_t at, char32_t code) {
  return document.problem(
      mark_at(document, at), fmt::format("invisible character {}", character_name(code)),
      fmt::format("remove it; where it is meant, write it as \"\\u{:04X}\" in double quotes",
                  static_cast<uint32_t>(code)));
}

// Where the text of a scalar ends at the latest; `at`: where it begins, with its anchor and tag.
size_t scalar_end(const std::string& text, size_t at) {
  while (at < text.size() && (text[at] == '&' || text[at] == '!')) {
    at = text.find_first_not_of(" \t\r\n", text.find_first_of(" \t\r\n", at));
  }
  if (at >= text.size() || text[at] != '"') return text.size();
  for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\';
  return std::min(at, text.size());
}

// The first character of the file that is not seen and that is not behind a `#`, up to the line.
std::optional<Problem> invisible_before(const Document& document, int last_line) {
  for (size_t from = 0;;) {
    const auto found = find_invisible(document.text, from);
    if (!found) return std::nullopt;
    const size_t start = document.text.rfind('\n', found->at) + 1;  // npos + 1 is 0
    if (mark_at(document, found->at).line > last_line) return std::nullopt;
    const size_t hash = document.text.find('#', start);
    if (hash > found->at) return invisible(document, found->at, found->code);
    from = found->at + 1;
    while (from < document.text.size() && continues(document.text[from])) ++from;
  }
}

// Builds the tree from yaml-cpp's events. Sizes and depths are those of the tree with aliases
// expanded, so that whoever walks it is bounded as well.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Document& document) : document_(document) {}

  NodePtr root;

  // Marks mostly come in the order of the file, so that counting characters goes on where it
  // stopped.
  Mark convert(const YAML::Mark& mark) {
    if (mark.line < 0 || mark.column < 0) return {};
    const auto& starts = document_.line_starts;
    const size_t line = std::min(static_cast<size_t>(mark.line), starts.size() - 1);
    const size_t start = starts[line];
    const size_t offset = std::min(start + static_cast<size_t>(mark.column), document_.text.size());
    if (start > counted_to_ || offset < counted_to_) {
      counted_to_ = start;
      last_ = {static_cast<int>(line) + 1, 1};
    }
    last_.column += characters(document_.text, counted_to_, offset);
    counted_to_ = offset;
    return last_;
  }

  Mark last() const { return last_; }  // of the last value or key

  std::vector<Problem> unseen;  // characters in keys and values

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root) fail(convert(mark), "a second YAML document starts here", "keep one document a file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // Where nothing is written yaml-cpp tells the place of what comes next, lines away perhaps.
    Mark place = convert(mark);
    if (!frames_.empty() && frames_.back().key && frames_.back().key->mark.line != place.line) {
      place = frames_.back().key->mark;
    }
    add_leaf(NodeKind::kNull, place, "", false, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool text = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!text) require_no_tag(convert(mark), tag);
    require_visible(mark, value);
    add_leaf(NodeKind::kScalar, convert(mark), value, text, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      fail(convert(mark), "an alias stands inside the value that it repeats",
           "write the value out");
    }
    attach(found->second, convert(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(NodeKind::kList, convert(mark), tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(NodeKind::kMap, convert(mark), tag, anchor);
  }
  void OnMapEnd() override {
    expand_merges();
    close();
  }

 private:
  struct Built {
    NodePtr node;
    size_t size = 1;  // values in it, itself included
    int height = 0;   // levels of lists and maps in it
  };
  struct Key {
    std::string text;
    Mark mark;
    bool merge = false;
  };
  // A list or map whose end has not come.
  struct Frame {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    size_t size = 1;
    int height = 1;
    std::optional<Key> key;                          // waits for its value
    std::unordered_map<std::string, size_t> places;  // key -> index in node->entries
    std::optional<size_t> merge;                     // index of the entry `<<`
  };

  [[noreturn]] void fail(Mark mark, std::string what, std::string repair) const {
    throw Error(document_.problem(mark, std::move(what), std::move(repair)));
  }

  void require_no_tag(Mark mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(mark, fmt::format("unknown tag `{}`", tag), "remove it");
    }
  }

  // A character that stands there as an escape is meant.
  void require_visible(const YAML::Mark& mark, const std::string& value) {
    const auto found = find_invisible(value);
    const auto line = static_cast<size_t>(mark.line);
    if (!found || line >= document_.line_starts.size() || unseen.size() >= kMaxInvisible) return;
    const std::string& text = document_.text;
    const size_t at =
        std::min(document_.line_starts[line] + static_cast<size_t>(mark.column), text.size());
    const auto raw = find_invisible(std::string_view(text).substr(0, scalar_end(text, at)), at);
    if (raw) unseen.push_back(invisible(document_, raw->at, raw->code));
  }

  void add_leaf(NodeKind kind, Mark mark, const std::string& text, bool quoted,
                YAML::anchor_t anchor) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = mark;
    node->text = text;
    node->quoted = quoted;
    finish({std::move(node)}, anchor, mark);
  }

  void open(NodeKind kind, Mark mark, const std::string& tag, YAML::anchor_t anchor) {
    require_no_tag(mark, tag);
    require_depth(mark, 1);
    Frame frame;
    frame.node = std::make_shared<Node>();
    frame.node->kind = kind;
    frame.node->mark = mark;
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    const Mark mark = frame.node->mark;
    finish({std::move(frame.node), frame.size, frame.height}, frame.anchor, mark);
  }

  void finish(Built built, YAML::anchor_t anchor, Mark mark) {
    if (anchor) anchors_[anchor] = built;
    attach(built, mark);
  }

  void require_depth(Mark mark, int height) const {
    if (frames_.size() + static_cast<size_t>(height) > kMaxYamlDepth) {
      fail(mark, fmt::format("lists and maps are nested deeper than {} levels", kMaxYamlDepth),
           "flatten the file");
    }
  }

  void require_size(Mark mark, size_t size) const {
    if (size > kMaxYamlNodes) {
      fail(mark,
           fmt::format("the file holds more than {} values once aliases are expanded",
                       kMaxYamlNodes),
           "state fewer values; a grid makes many points from few");
    }
  }

  // `mark`: where the value stands, which for an alias is not where its content is.
  void attach(const Built& built, Mark mark) {
    if (frames_.empty()) {
      root = built.node;
      return;
    }
    require_depth(mark, built.height);
    Frame& frame = frames_.back();
    frame.size += built.size;  // cannot wrap: both are within the limit
    frame.height = std::max(frame.height, built.height + 1);
    require_size(mark, frame.size);
    if (frame.node->kind == NodeKind::kList) {
      frame.node->items.push_back(built.node);
    } else if (!frame.key) {
      if (built.node->kind != NodeKind::kScalar) {
        fail(mark, "a key must be text", "write `key: value`; quote braces that belong to a text");
      }
      const bool merge = built.node->text == "<<" && !built.node->quoted;
      frame.key = Key{built.node->text, mark, merge};
    } else {
      add_entry(frame, {frame.key->text, frame.key->mark, built.node}, frame.key->merge);
      frame.key.reset();
    }
  }

  void add_entry(Frame& frame, Entry entry, bool merge) {
    const auto [place, is_new] = frame.places.emplace(entry.key, frame.node->entries.size());
    if (!is_new) {
      if (document_.problems.size() >= kMaxDuplicates) return;
      document_.problems.push_back(document_.problem(
          entry.mark,
          fmt::format("`{}` is stated twice, first on line {}", entry.key,
                      frame.node->entries[place->second].mark.line),
          entry.key == "<<" ? "merge several maps with `<<: [*a, *b]`" : "keep one of them"));
      return;
    }
    if (merge) frame.merge = frame.node->entries.size();
    frame.node->entries.push_back(std::move(entry));
  }

  // Replaces `<<: map` or `<<: [maps]` by their entries; what stands beside it and earlier maps
  // win.
  void expand_merges() {
    Frame& frame = frames_.back();
    if (!frame.merge) return;
    std::vector<Entry>& entries = frame.node->entries;
    const Entry merge = std::move(entries[*frame.merge]);
    const std::vector<NodePtr> sources = merge.value->kind == NodeKind::kList
                                             ? merge.value->items
                                             : std::vector<NodePtr>{merge.value};
    std::vector<Entry> merged;
    for (const NodePtr& source : sources) {
      if (source->kind != NodeKind::kMap) {
        fail(merge.mark, "`<<` takes a map or a list of maps", "write `<<: *anchor_of_a_map`");
      }
      require_size(merge.mark, merged_ += source->entries.size());
      for (const Entry& entry : source->entries) {
        if (frame.places.emplace(entry.key, 0).second) merged.push_back(entry);
      }
    }
    const auto at = entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(*frame.merge));
    entries.insert(at, merged.begin(), merged.end());
  }

  Document& document_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, Built> anchors_;
  size_t merged_ = 0;      // entries copied by merge keys, in the whole document
  size_t counted_to_ = 0;  // byte offset of last_
  Mark last_{1, 1};
};

}  // namespace

const Entry* Node::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

Problem Document::problem(Mark mark, std::string what, std::string repair) const {
  Problem problem{{file, mark.line, mark.column}, std::move(what), std::move(repair), ""};
  if (mark.line < 1 || static_cast<size_t>(mark.line) > line_starts.size()) return problem;
  const size_t start = line_starts[static_cast<size_t>(mark.line) - 1];
  std::string line = text.substr(start, std::min(text.find('\n', start), text.size()) - start);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (static_cast<size_t>(std::max(mark.column, 0)) > kMaxShownColumns) return problem;
  if (line.size() > kMaxShownColumns + 40) {
    size_t end = kMaxShownColumns + 40;
    while (continues(line[end])) --end;
    line = line.substr(0, end) + " ...";
  }
  problem.source_line = std::move(line);
  return problem;
}

Document parse_yaml(std::string text, std::string file) {
  Document document;
  document.file = std::move(file);
  require_bytes(text.size(), document.file);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // byte order mark
  document.text = std::move(text);
  document.line_starts.push_back(0);
  for (size_t i = 0; i < document.text.size(); ++i) {
    if (document.text[i] == '\n') document.line_starts.push_back(i + 1);
  }
  require_text(document);
  TreeBuilder builder(document);
  try {
    // yaml-cpp takes a quote that is still open for closed where the file ends with its line.
    std::istringstream in(document.text + (document.text.ends_with('\n') ? "#" : "\n#"));
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& failure) {
    const int last_line = builder.last().line;
    const Mark mark = builder.convert(failure.mark);
    if (const auto unseen = invisible_before(document, std::max(mark.line, last_line))) {
      throw Error(*unseen);
    }
    throw Error(document.problem(mark, "not valid YAML: " + failure.msg,
                                 syntax_repair(document, mark, last_line, failure.msg)));
  }
  if (!builder.unseen.empty()) throw Error(std::move(builder.unseen));
  document.root = builder.root ? builder.root : std::make_shared<Node>();
  return document;
}

Document read_yaml(const std::filesystem::path& file) {
  std::error_code not_a_file;  // a pipe, say, which has no size before it is read
  const auto bytes = std::filesystem::file_size(file, not_a_file);
  if (!not_a_file) require_bytes(bytes, file.string());
  return parse_yaml(read_file(file), file.string());
}

}  // namespace tarflow::sweep
