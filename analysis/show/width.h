// Text measured and broken by the columns it takes on a terminal, not by its bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tarflow::analysis {

// Terminal columns of UTF-8 text: 2 for East Asian wide characters, 0 for combining ones.
int display_width(std::string_view text);

// Lines of at most `width` columns, broken at white space, and inside words that are longer than a
// line. At least one line.
std::vector<std::string> wrap(std::string_view text, int width);

// Width of the longest word.
int longest_word(std::string_view text);

std::string repeat(std::string_view piece, int times);

}  // namespace tarflow::analysis
