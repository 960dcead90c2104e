// Words of command lines: what they were copied with, and how a shell is given them.
#pragma once

#include <string>

namespace tarflow {

// Throws Error for an argument that holds a character which is not seen (U+00A0, U+200B, ...),
// unless it is in the name of a file or folder that exists, and for an option that begins with a
// dash other than `-`, as documents have it.
void require_plain_arguments(int argc, const char* const* argv);

// The word in quotes, where a shell would read it otherwise.
std::string shell_word(const std::string& word);

}  // namespace tarflow
