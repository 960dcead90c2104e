// Strategies of a flow of 8 blocks and 256 tokens, from YAML.
#pragma once

#include <string>

#include "framework/core/strategy.h"
#include "framework/sweep/strategy_parse.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {

inline constexpr FlowSize kFlow{8, 256};

// The strategy that `yaml` states, which must be without errors.
inline Strategy read(const std::string& yaml, FlowSize flow = kFlow) {
  const Document document = parse_yaml(yaml, "s.yaml");
  const Sources sources(document);
  Report report(sources);
  const auto strategy = read_strategy(*document.root, flow, report);
  EXPECT_THAT(report.errors, ::testing::IsEmpty())
      << yaml << "\n"
      << (report.errors.empty() ? "" : report.errors[0].str());
  return strategy.value_or(Strategy{});
}

// What is wrong with `yaml`, "" for nothing.
inline std::string problem_of(const std::string& yaml) {
  const Document document = parse_yaml(yaml, "s.yaml");
  const Sources sources(document);
  Report report(sources);
  const auto strategy = read_strategy(*document.root, kFlow, report);
  std::string text;
  for (const Problem& problem : report.errors) text += problem.str();
  EXPECT_EQ(strategy.has_value(), text.empty()) << yaml << "\n" << text;
  return text;
}

}  // namespace tarflow::sweep
