#include "analysis/show/width.h"

#include <clocale>
#include <cwchar>

#include <algorithm>

namespace tarflow::analysis {
namespace {

// wcwidth and mbrtowc follow the thread's locale; the program's own may be plain "C".
class Utf8Locale {
 public:
  Utf8Locale() {
    // Loading one takes longer than a page of text, so that it is kept.
    static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (kLocale) previous_ = uselocale(kLocale);
  }
  ~Utf8Locale() {
    if (previous_) uselocale(previous_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t previous_ = nullptr;
};

struct Character {
  size_t bytes;
  int width;
  bool printable;
};

// The first character of `text`; what a terminal must not get (control characters, bytes that are
// not UTF-8) is one column wide and shown as a question mark.
Character first_character(std::string_view text) {
  if (text.front() >= ' ' && text.front() <= '~') return {1, 1, true};
  wchar_t wide = 0;
  std::mbstate_t state{};
  const size_t bytes = std::mbrtowc(&wide, text.data(), text.size(), &state);
  if (bytes == 0 || bytes > text.size()) return {1, 1, false};
  const int width = wcwidth(wide);
  return width < 0 ? Character{bytes, 1, false} : Character{bytes, width, true};
}

int width_in_locale(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    width += character.width;
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> list;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
    if (end > 0) list.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return list;
}

}  // namespace

int display_width(std::string_view text) {
  const Utf8Locale locale;
  return width_in_locale(text);
}

int longest_word(std::string_view text) {
  int longest = 0;
  for (std::string_view word : words(text)) longest = std::max(longest, display_width(word));
  return longest;
}

std::vector<std::string> wrap(std::string_view text, int width) {
  const Utf8Locale locale;
  width = std::max(1, width);
  std::vector<std::string> lines = {""};
  int used = 0;
  for (std::string_view word : words(text)) {
    const int needed = width_in_locale(word);
    if (used > 0 && used + 1 + needed <= width) {
      lines.back() += ' ';
      ++used;
    } else if (used > 0) {
      lines.emplace_back();
      used = 0;
    }
    while (!word.empty()) {
      const Character character = first_character(word);
      if (used > 0 && used + character.width > width) {
        lines.emplace_back();
        used = 0;
      }
      lines.back().append(character.printable ? word.substr(0, character.bytes) : "?");
      used += character.width;
      word.remove_prefix(character.bytes);
    }
  }
  return lines;
}

std::string repeat(std::string_view piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

}  // namespace tarflow::analysis
