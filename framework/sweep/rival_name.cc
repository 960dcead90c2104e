#include "framework/sweep/rival_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "framework/core/error.h"
#include "framework/core/overloaded.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kSejd = "SeJD";
constexpr const char* kStarFlow = "STARFlow";

StarFlow starflow_of(std::string_view text, std::string_view length) {
  StarFlow rival;
  const auto [end, failure] =
      std::from_chars(length.data(), length.data() + length.size(), rival.length);
  if (failure != std::errc() || end != length.data() + length.size() || rival.length < 1) {
    throw Error(fmt::format("`{}` is not a strategy: `{}` is not a number of tokens", text, length),
                "write STARFlow for segments of 32 tokens, or STARFlow-16");
  }
  return rival;
}

}  // namespace

std::optional<Rival> parse_rival_name(std::string_view text) {
  const std::string name = plain_name(text);
  if (name == plain_name(kSejd)) return SelectiveJacobi{};
  const std::string starflow = plain_name(kStarFlow);
  if (name == starflow) return StarFlow{};
  if (!name.starts_with(starflow + "-")) return std::nullopt;
  return starflow_of(text, std::string_view(name).substr(starflow.size() + 1));
}

std::string to_string(const Rival& rival) {
  return std::visit(Overloaded{[](const SelectiveJacobi&) { return std::string(kSejd); },
                               [](const StarFlow& starflow) {
                                 return starflow.length == StarFlow::kLength
                                            ? std::string(kStarFlow)
                                            : fmt::format("{}-{}", kStarFlow, starflow.length);
                               }},
                    rival);
}

std::vector<std::string> rival_names() { return {kSejd, kStarFlow}; }

Strategy rival_strategy(const Rival& rival, const FlowSize& flow) {
  const auto blocks = static_cast<size_t>(flow.blocks);
  return std::visit(
      Overloaded{
          [&](const SelectiveJacobi&) {
            // Jacobi is exact after T - 1 iterations.
            const Iterations iterations{std::max(1, flow.tokens - 1), Guess::kZ, 0,
                                        Stop{Norm::kMaxAbs, SelectiveJacobi::kThreshold}};
            Strategy strategy{to_string(rival), {blocks, BlockPlan{Jacobi{iterations}}}};
            if (blocks > 0) strategy.blocks.front() = {Sequential{}};
            return strategy;
          },
          [&](const StarFlow& starflow) {
            const Iterations iterations{StarFlow::kIterations, Guess::kZ, 0,
                                        Stop{Norm::kRelativeMse, StarFlow::kThreshold}};
            const SegmentLength length{std::min(starflow.length, flow.tokens)};
            return Strategy{to_string(rival), {blocks, BlockPlan{Segments{iterations, length}}}};
          }},
      rival);
}

}  // namespace tarflow::sweep
