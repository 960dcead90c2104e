#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "framework/checkpoint/tarflow_probe.h"
#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"

namespace tarflow::checkpoint {
namespace {

constexpr const char* kRoot = "root";  // the name of a state dict without a prefix
constexpr size_t kMaxStates = 64;      // in one file
constexpr std::string_view kBlocks = "blocks";

// What DataParallel and DDP, torch.compile, FSDP, activation checkpointing and Fabric put before
// the names inside the module that they wrap.
constexpr std::array<std::string_view, 5> kWrappers = {
    "module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"};

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    parts.emplace_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string without_wrappers(std::string_view name) {
  std::vector<std::string> parts = parts_of(name);
  std::erase_if(parts, [](const std::string& part) {
    return std::ranges::find(kWrappers, std::string_view(part)) != kWrappers.end();
  });
  return fmt::format("{}", fmt::join(parts, "."));
}

// A state dict that is there, known by its probe.
struct Candidate {
  std::string prefix;   // without wrappers, with its last dot: "", "ema.", "state_dict.model."
  std::string in_file;  // as the file spells it: "module.", "state_dict.module.model."

  std::string name() const { return prefix.empty() ? kRoot : prefix.substr(0, prefix.size() - 1); }
};
using Candidates = std::vector<Candidate>;

// What stands before `blocks` in the name of a probe, wrappers included.
std::string prefix_in_file(const std::string& name) {
  size_t at = 0;
  for (const std::string& part : parts_of(name)) {
    if (part == kBlocks && without_wrappers(name.substr(at)) == kProbe) return name.substr(0, at);
    at += part.size() + 1;
  }
  return "";
}

Candidates find_candidates(const Checkpoint& checkpoint) {
  Candidates candidates;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!tensor.name.ends_with("weight")) continue;
    const std::string name = without_wrappers(tensor.name);
    if (name != kProbe && !name.ends_with(kProbeBelow)) continue;
    const std::string prefix = name.substr(0, name.size() - std::string_view(kProbe).size());
    const auto same = [&](const Candidate& known) { return known.prefix == prefix; };
    if (std::ranges::any_of(candidates, same)) continue;
    candidates.push_back({prefix, prefix_in_file(tensor.name)});
    if (candidates.size() <= kMaxStates) continue;
    throw Error(fmt::format("{} holds more than {} models", checkpoint.path().string(), kMaxStates),
                kNotTarflow);
  }
  return candidates;
}

// The tensor's name in the state dict of `mine`, "" when it does not belong to it: what stands
// beside a wrapped model (the counter of an averaged one), keys that are numbers, other models.
std::string name_in(const Candidate& mine, const Candidates& all, const TensorInfo& tensor) {
  const std::string name = without_wrappers(tensor.name);
  if (!name.starts_with(mine.prefix)) return "";
  for (const Candidate& other : all) {
    if (other.prefix.size() > mine.prefix.size() && name.starts_with(other.prefix)) return "";
  }
  std::string rest = name.substr(mine.prefix.size());
  if (rest == "var" || rest.starts_with("blocks.")) return rest;
  const bool number = !rest.empty() && rest[0] >= '0' && rest[0] <= '9';
  return number || !tensor.name.starts_with(mine.in_file) ? "" : rest;
}

Checkpoint state_of(const Checkpoint& checkpoint, const Candidate& mine, const Candidates& all) {
  return checkpoint.renamed([&](const TensorInfo& tensor) { return name_in(mine, all, tensor); });
}

// "`ema` (62 tensors, 16px P4 C64 K2 L1, 10 classes)"
std::string description(const Checkpoint& checkpoint, const Candidate& mine,
                        const Candidates& all) {
  try {
    const Checkpoint state = state_of(checkpoint, mine, all);
    const size_t count = state.tensors().size();
    try {
      return fmt::format("`{}` ({} tensors, {})", mine.name(), count,
                         read_model_shape(state).str());
    } catch (const Error&) {
      return fmt::format("`{}` ({} tensors, no TarFlow)", mine.name(), count);
    }
  } catch (const Error&) {
    return fmt::format("`{}` (two tensors of one name)", mine.name());
  }
}

// Whether `asked` is all of a candidate's name or some of its parts in a row.
bool names(const std::vector<std::string>& asked, const Candidate& candidate) {
  const std::vector<std::string> parts = parts_of(candidate.name());
  // Not std::ranges::search: Clang 14 does not compile the one of GCC 12's library.
  return !asked.empty() &&
         std::search(parts.begin(), parts.end(), asked.begin(), asked.end()) != parts.end();
}

const Candidate* choose(const Candidates& candidates, std::string_view weights) {
  if (weights.empty()) return candidates.size() == 1 ? &candidates[0] : nullptr;
  std::string asked = without_wrappers(weights);
  if (asked.empty()) asked = kRoot;  // {"module": {...}}
  const Candidate* chosen = nullptr;
  for (const Candidate& candidate : candidates) {
    if (candidate.name() == asked) return &candidate;
    if (!names(parts_of(asked), candidate)) continue;
    if (chosen) return nullptr;
    chosen = &candidate;
  }
  return chosen;
}

[[noreturn]] void refuse_choice(const Checkpoint& checkpoint, const Candidates& candidates,
                                std::string_view weights) {
  std::vector<std::string> list, choices;
  for (const Candidate& candidate : candidates) {
    list.push_back(description(checkpoint, candidate, candidates));
    choices.push_back(fmt::format("`weights: {}`", candidate.name()));
  }
  const std::string what =
      weights.empty()
          ? fmt::format("{} holds {} models", checkpoint.path().string(), candidates.size())
          : fmt::format("{}: `weights: {}` does not name one of its models",
                        checkpoint.path().string(), weights);
  throw Error(fmt::format("{}: {}", what, fmt::join(list, ", ")),
              fmt::format("state which to take: {}", fmt::join(choices, " or ")));
}

}  // namespace

FoundState find_state(const Checkpoint& checkpoint, std::string_view weights) {
  const Candidates candidates = find_candidates(checkpoint);
  if (candidates.empty()) {
    throw Error(fmt::format("{} holds no TarFlow: none of its {} tensors is named {}",
                            checkpoint.path().string(), checkpoint.tensors().size(), kProbe),
                kNotTarflow);
  }
  const Candidate* chosen = choose(candidates, weights);
  if (!chosen) refuse_choice(checkpoint, candidates, weights);
  return {state_of(checkpoint, *chosen, candidates), candidates.size() == 1 ? "" : chosen->name()};
}

}  // namespace tarflow::checkpoint
