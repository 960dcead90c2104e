// What a command line was copied with.
#pragma once

namespace tarflow {

// Throws Error for an argument that holds a character which is not seen (U+00A0, U+200B, ...),
// unless it is in the name of a file or folder that exists, and for an option that begins with a
// dash other than `-`, as documents have it.
void require_plain_arguments(int argc, const char* const* argv);

}  // namespace tarflow
