#include "framework/core/characters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tarflow {
namespace {

struct Range {
  char32_t first, last;
};

// Unicode's general categories Cc (above U+007F), Cf, Zs (but U+0020), Zl and Zp, and what is drawn
// as nothing besides. In order.
constexpr std::array kInvisible = std::to_array<Range>(
    {{0x80, 0xA0},       {0xAD, 0xAD},       {0x34F, 0x34F},     {0x600, 0x605},
     {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
     {0x8E2, 0x8E2},     {0x115F, 0x1160},   {0x1680, 0x1680},   {0x17B4, 0x17B5},
     {0x180B, 0x180F},   {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},
     {0x2800, 0x2800},   {0x3000, 0x3000},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},
     {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0x110BD, 0x110BD},
     {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
     {0xE0000, 0xE0FFF}});

struct Named {
  char32_t code;
  const char* name;
};

constexpr std::array kNames = std::to_array<Named>({{0x85, "next line"},
                                                    {0xA0, "no-break space"},
                                                    {0xAD, "soft hyphen"},
                                                    {0xD7, "multiplication sign"},
                                                    {0x2009, "thin space"},
                                                    {0x200B, "zero width space"},
                                                    {0x200C, "zero width non-joiner"},
                                                    {0x200D, "zero width joiner"},
                                                    {0x200E, "left-to-right mark"},
                                                    {0x200F, "right-to-left mark"},
                                                    {0x2010, "hyphen"},
                                                    {0x2011, "non-breaking hyphen"},
                                                    {0x2012, "figure dash"},
                                                    {0x2013, "en dash"},
                                                    {0x2014, "em dash"},
                                                    {0x2018, "left single quotation mark"},
                                                    {0x2019, "right single quotation mark"},
                                                    {0x201C, "left double quotation mark"},
                                                    {0x201D, "right double quotation mark"},
                                                    {0x2026, "horizontal ellipsis"},
                                                    {0x2028, "line separator"},
                                                    {0x2029, "paragraph separator"},
                                                    {0x202A, "left-to-right embedding"},
                                                    {0x202B, "right-to-left embedding"},
                                                    {0x202C, "pop directional formatting"},
                                                    {0x202D, "left-to-right override"},
                                                    {0x202E, "right-to-left override"},
                                                    {0x202F, "narrow no-break space"},
                                                    {0x2060, "word joiner"},
                                                    {0x2066, "left-to-right isolate"},
                                                    {0x2067, "right-to-left isolate"},
                                                    {0x2068, "first strong isolate"},
                                                    {0x2069, "pop directional isolate"},
                                                    {0x2212, "minus sign"},
                                                    {0x3000, "ideographic space"},
                                                    {0xFEFF, "byte order mark"},
                                                    {0xFF0C, "fullwidth comma"},
                                                    {0xFF0E, "fullwidth full stop"},
                                                    {0xFF1A, "fullwidth colon"}});

struct Looks {
  char32_t first, last;
  char like;
};

constexpr std::array kLooks = std::to_array<Looks>({{0x2010, 0x2015, '-'},
                                                    {0x2212, 0x2212, '-'},
                                                    {0xFE58, 0xFE58, '-'},
                                                    {0xFE63, 0xFE63, '-'},
                                                    {0xFF0D, 0xFF0D, '-'},
                                                    {0x2018, 0x2019, '\''},
                                                    {0x2032, 0x2032, '\''},
                                                    {0x201C, 0x201F, '"'},
                                                    {0x2033, 0x2033, '"'},
                                                    {0xAB, 0xAB, '"'},
                                                    {0xBB, 0xBB, '"'},
                                                    {0x201A, 0x201A, ','},
                                                    {0xFF0C, 0xFF0C, ','},
                                                    {0xFF0E, 0xFF0E, '.'},
                                                    {0xFF1A, 0xFF1A, ':'},
                                                    {0xD7, 0xD7, 'x'}});

bool is_invisible(char32_t code) {
  return std::any_of(kInvisible.begin(), kInvisible.end(),
                     [&](const Range& range) { return range.first <= code && code <= range.last; });
}

// Between letters of some scripts, and within emoji, these belong to what is seen.
bool joins_letters(char32_t code) {
  return code == 0x200C || code == 0x200D || (code >= 0xFE00 && code <= 0xFE0F);
}

// The character at `at`; code 0 and its length 1 where the bytes are no UTF-8.
std::pair<char32_t, size_t> decode(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 0;
  if (length == 0 || at + length > text.size()) return {0, 1};
  char32_t code = first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {0, 1};
    code = code << 6 | (byte(at + i) & 0x3F);
  }
  return {code, length};
}

std::string_view known_name(char32_t code) {
  const auto found = std::find_if(kNames.begin(), kNames.end(),
                                  [&](const Named& named) { return named.code == code; });
  return found == kNames.end() ? "" : found->name;
}

// What it looks like; 0: nothing of ASCII.
char like(char32_t code) {
  if (code >= 0xFF10 && code <= 0xFF19) return static_cast<char>('0' + (code - 0xFF10));
  const auto found = std::find_if(kLooks.begin(), kLooks.end(), [&](const Looks& looks) {
    return looks.first <= code && code <= looks.last;
  });
  return found == kLooks.end() ? '\0' : found->like;
}

}  // namespace

std::optional<Character> find_invisible(std::string_view text, size_t from) {
  bool after_letter = false;  // one that is not ASCII
  for (size_t at = from; at < text.size();) {
    const auto [code, length] = decode(text, at);
    const bool joiner = after_letter && joins_letters(code);
    if (!joiner && is_invisible(code)) return Character{at, code};
    after_letter = code >= 0x80;
    at += length;
  }
  return std::nullopt;
}

std::string character_name(char32_t code) {
  const std::string_view name = known_name(code);
  const std::string point = fmt::format("U+{:04X}", static_cast<uint32_t>(code));
  return name.empty() ? point : fmt::format("{} ({})", point, name);
}

std::string ascii_repair(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto [code, length] = decode(text, at);
    at += length;
    if (code < 0x80) continue;
    const char ascii = like(code);
    return fmt::format("it holds {}{}", character_name(code),
                       is_invisible(code) ? ": remove it"
                       : ascii            ? fmt::format(": write `{}`", ascii)
                                          : "");
  }
  return "";
}

}  // namespace tarflow
