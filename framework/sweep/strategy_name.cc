#include "framework/sweep/strategy_name.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

#include "framework/core/error.h"
#include "framework/core/overloaded.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kForm =
    "write [Stack-GS-J-Else], as [7-8-32-10] or [0/7-256/8-1/13-6], or Jacobi-16, or For";
constexpr std::string_view kJacobi = "jacobi-";

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(
      fmt::format("`{}` is not a strategy: {}", text.size() > 60 ? text.substr(0, 60) : text, why),
      kForm);
}

std::vector<int> numbers(std::string_view name, const std::string& part, const char* what) {
  std::vector<int> values;
  for (const std::string& piece : split(part, '/')) {
    int value = 0;
    const auto [end, failure] = std::from_chars(piece.data(), piece.data() + piece.size(), value);
    if (failure != std::errc() || end != piece.data() + piece.size()) {
      refuse(name,
             fmt::format("{} `{}` is not {}", what, part,
                         part.find('/') == std::string::npos ? "a number" : "a list of numbers"));
    }
    values.push_back(value);
  }
  return values;
}

// One value for every tough block, or one for all of them.
void spread(std::string_view name, std::vector<int>& values, size_t count, const char* what) {
  if (values.size() == 1) values.resize(count, values[0]);
  if (values.size() != count) {
    refuse(name, fmt::format("{} has {} values for {} blocks", what, values.size(), count));
  }
}

PublishedName parse_jacobi(std::string_view text, const std::string& count) {
  PublishedName name;
  const auto [end, failure] =
      std::from_chars(count.data(), count.data() + count.size(), name.others);
  if (failure != std::errc() || end != count.data() + count.size() || name.others < 1)
    refuse(text, fmt::format("`{}` is not a number of iterations", count));
  return name;
}

std::string joined(const std::vector<int>& values) {
  const bool equal =
      std::all_of(values.begin(), values.end(), [&](int v) { return v == values[0]; });
  return equal ? std::to_string(values[0]) : fmt::format("{}", fmt::join(values, "/"));
}

}  // namespace

std::string plain_name(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    // U+2010 to U+2015 and the minus sign U+2212, as copied from a paper.
    const std::string_view rest = text.substr(i);
    if ((rest.starts_with("\xE2\x80") && rest.size() > 2 && rest[2] >= '\x90' &&
         rest[2] <= '\x95') ||
        rest.starts_with("\xE2\x88\x92")) {
      out += '-';
      i += 2;
    } else if (!std::isspace(static_cast<unsigned char>(text[i])) && text[i] != '"' &&
               text[i] != '\'') {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
    }
  }
  if (out.starts_with('[')) out.erase(0, 1);
  if (out.ends_with(']')) out.pop_back();
  return out;
}

std::string PublishedName::str() const {
  if (others == 0) return "For";
  if (groups.empty()) return fmt::format("Jacobi-{}", others);
  std::vector<int> stack, segments, iterations;
  for (const Group& group : groups) {
    stack.push_back(group.block);
    segments.push_back(group.segments);
    iterations.push_back(group.iterations);
  }
  return fmt::format("[{}-{}-{}-{}]", fmt::join(stack, "/"), joined(segments), joined(iterations),
                     others);
}

bool looks_published(std::string_view text) {
  const std::string name = plain_name(text);
  if (name.starts_with(kJacobi)) {
    const std::string_view count = std::string_view(name).substr(kJacobi.size());
    return !count.empty() && count.find_first_not_of("0123456789-+.") == std::string_view::npos;
  }
  return name == "for" || (std::count(name.begin(), name.end(), '-') == 3 &&
                           name.find_first_not_of("0123456789-/") == std::string::npos);
}

PublishedName parse_published_name(std::string_view text) {
  const std::string name = plain_name(text);
  if (name == "for") return {};
  if (name.starts_with(kJacobi)) return parse_jacobi(text, name.substr(kJacobi.size()));
  const std::vector<std::string> parts = split(name, '-');
  if (parts.size() != 4) {
    refuse(text, parts.size() == 1 ? std::string("the name is not known")
                                   : fmt::format("it has {} parts instead of 4", parts.size()));
  }
  std::vector<int> stack = numbers(text, parts[0], "Stack");
  std::vector<int> segments = numbers(text, parts[1], "GS");
  std::vector<int> iterations = numbers(text, parts[2], "J");
  const std::vector<int> others = numbers(text, parts[3], "Else");
  if (others.size() != 1) refuse(text, "Else is one number");
  spread(text, segments, stack.size(), "GS");
  spread(text, iterations, stack.size(), "J");
  PublishedName parsed;
  parsed.others = others[0];
  for (size_t i = 0; i < stack.size(); ++i)
    parsed.groups.push_back({stack[i], segments[i], iterations[i]});
  std::sort(parsed.groups.begin(), parsed.groups.end(),
            [](const auto& a, const auto& b) { return a.block < b.block; });
  for (size_t i = 0; i < parsed.groups.size(); ++i) {
    const PublishedName::Group& group = parsed.groups[i];
    if (i > 0 && parsed.groups[i - 1].block == group.block) {
      refuse(text, fmt::format("block {} occurs twice in Stack", group.block));
    }
    if (group.iterations < 1 && group.segments != 0) refuse(text, "J is at least 1");
  }
  if (parsed.others < 1) refuse(text, "Else is at least 1");
  return parsed;
}

int checked_segments(int64_t written, const FlowSize& flow) {
  if (written < 0 || written > flow.tokens) {
    throw Error(fmt::format("{} segments for the {} tokens of the model", written, flow.tokens),
                fmt::format("at most {}; 0 and {} are sequential", flow.tokens, flow.tokens));
  }
  return written == flow.tokens ? 0 : static_cast<int>(written);
}

int checked_segment_length(int64_t written, const FlowSize& flow) {
  if (written < 1 || written > flow.tokens) {
    throw Error(
        fmt::format("segments of {} tokens, but the model has {} tokens", written, flow.tokens),
        fmt::format("write 1 to {}", flow.tokens));
  }
  return static_cast<int>(written);
}

Strategy published_strategy(const PublishedName& name, const FlowSize& flow) {
  Strategy strategy;
  strategy.name = name.str();
  const BlockPlan other =
      name.others > 0 ? published_plan(1, name.others) : BlockPlan{Sequential{}};
  strategy.blocks.assign(static_cast<size_t>(flow.blocks), other);
  for (const PublishedName::Group& group : name.groups) {
    if (group.block >= flow.blocks) {
      throw Error(fmt::format("{} names block {}, but the model has {} blocks", strategy.name,
                              group.block, flow.blocks),
                  fmt::format("blocks are 0 to {}", flow.blocks - 1));
    }
    strategy.blocks[static_cast<size_t>(flow.blocks - 1 - group.block)] =
        published_plan(checked_segments(group.segments, flow), group.iterations);
  }
  return strategy;
}

namespace {

// A tough block's entry in a published name; nothing for a plan that no name states.
std::optional<PublishedName::Group> group_of(int block, const BlockPlan& plan, int tokens) {
  using Group = std::optional<PublishedName::Group>;
  return std::visit(
      Overloaded{
          [&](const Sequential&) {
            return Group({block, tokens, 1});
          },
          [&](const Window&) { return Group(); }, [&](const Tuned&) { return Group(); },
          [&](const Jacobi& jacobi) {
            return Group({block, 1, jacobi.max_iterations});
          },
          [&](const Segments& segments) {
            const auto* const count = std::get_if<SegmentCount>(&segments.size);
            return count ? Group({block, count->value, segments.max_iterations}) : std::nullopt;
          }},
      plan.method);
}

}  // namespace

bool same_but_for_guesses(const std::vector<BlockPlan>& blocks,
                          const std::vector<BlockPlan>& others) {
  return std::equal(blocks.begin(), blocks.end(), others.begin(), others.end(),
                    [](BlockPlan plan, const BlockPlan& other) {
                      const Guess* const guess = guess_of(other);
                      if (Guess* own = guess_of(plan); own && guess) *own = *guess;
                      return plan == other;
                    });
}

std::optional<PublishedName> published_name_of(const std::vector<BlockPlan>& blocks,
                                               const FlowSize& flow) {
  PublishedName name;
  const auto sequential = [](const BlockPlan& plan) { return plan.sequential(); };
  if (std::all_of(blocks.begin(), blocks.end(), sequential)) return name;
  std::map<int, int> jacobi;  // iterations -> blocks that take them
  for (const BlockPlan& plan : blocks) {
    if (const auto* const all = std::get_if<Jacobi>(&plan.method)) ++jacobi[all->max_iterations];
  }
  if (jacobi.empty()) return std::nullopt;
  // The most common number is Else; of equally common ones the smaller.
  name.others = std::max_element(jacobi.begin(), jacobi.end(), [](const auto& a, const auto& b) {
                  return a.second < b.second;
                })->first;
  for (int index = 0; index < flow.blocks; ++index) {
    const BlockPlan& plan = blocks[blocks.size() - 1 - static_cast<size_t>(index)];
    const auto* const all = std::get_if<Jacobi>(&plan.method);
    if (all && all->max_iterations == name.others) continue;
    const auto group = group_of(index, plan, flow.tokens);
    if (!group) return std::nullopt;
    name.groups.push_back(*group);
  }
  // Another clamp or stop has no published name either.
  if (!same_but_for_guesses(blocks, published_strategy(name, flow).blocks)) return std::nullopt;
  return name;
}

}  // namespace tarflow::sweep
