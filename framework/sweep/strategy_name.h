// The published names of strategies, [Stack-GS-J-Else] and For, and Jacobi-N, which is the same
// without tough blocks (method.md section 2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/strategy.h"

namespace tarflow::sweep {

// What of a model a strategy depends on.
struct FlowSize {
  int blocks = 0;  // K
  int tokens = 0;  // T
};

// A name taken apart. Block numbers are those of the checkpoint.
struct PublishedName {
  struct Group {
    int block = 0;
    int segments = 0;
    int iterations = 0;
    bool operator==(const Group&) const = default;
  };
  std::vector<Group> groups;  // the tough blocks, by number
  int others = 0;  // Jacobi iterations of every other block; 0: all blocks sequential (For)

  // "For", "Jacobi-16" without tough blocks, "[7-8-32-10]"; a value that all tough blocks share is
  // written once: "[0/6-8-32-20]".
  std::string str() const;
  bool operator==(const PublishedName&) const = default;
};

// Any spelling: with or without brackets or quotes, any spaces, dashes as typeset,
// Jacobi and For in any case. Throws Error without a place.
PublishedName parse_published_name(std::string_view text);

// Whether `text` has the form of a published name, valid or not.
bool looks_published(std::string_view text);

// The blocks of a name for a model, with the published clamp and stop; all guesses are z. num_GS =
// T is sequential. Throws Error when a block or a number of segments is impossible.
Strategy published_strategy(const PublishedName& name, const FlowSize& flow);

// The name that published_strategy turns into `blocks` (guesses aside), if there is one.
std::optional<PublishedName> published_name_of(const std::vector<BlockPlan>& blocks,
                                               const FlowSize& flow);

// Segments as stored: `written` = T is sequential (0). Throws Error when it is below 0 or above T.
int checked_segments(int64_t written, const FlowSize& flow);
// Tokens a segment. Throws Error when it is below 1 or above T.
int checked_segment_length(int64_t written, const FlowSize& flow);

bool same_but_for_guesses(const std::vector<BlockPlan>& blocks,
                          const std::vector<BlockPlan>& others);

// Brackets, quotes and spaces removed, typeset dashes made plain, lower case.
std::string plain_name(std::string_view text);

}  // namespace tarflow::sweep
