// Characters that look like nothing, or like others: they come with text that is copied from web
// pages and documents.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tarflow {

// A character of a UTF-8 text.
struct Character {
  size_t at = 0;  // offset of its first byte
  char32_t code = 0;
};

// The first character from `from` on that is not seen or that changes how the text is shown: spaces
// other than U+0020, marks without a width, line separators, controls of the writing direction.
// Tab, line feed, carriage return, and joiners within letters that are not ASCII are none. Bytes
// that are not UTF-8 are passed over.
std::optional<Character> find_invisible(std::string_view text, size_t from = 0);

// "U+00A0 (no-break space)"; the code point alone where no name is known here.
std::string character_name(char32_t code);

// How to repair a text that may hold ASCII only: names its first character that is not ASCII, and
// what it looks like: "it holds U+2212 (minus sign): write `-`". "" where all are ASCII.
std::string ascii_repair(std::string_view text);

}  // namespace tarflow
