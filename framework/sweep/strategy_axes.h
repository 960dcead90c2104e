// Strategies by the numbers in their names, and products of such numbers:
//   {stack: 7, segments: 8, iterations: 16, else: 10}           one strategy, [7-8-16-10]
//   {stack: 7, segments: [4, 8], iterations: [8, 16], else: 10}     four
//   {product: {window: [16, 64], tolerance: [0.02, 0.05]}}          four; outside of a product a
//                                                                   list of windows is one a block
#pragma once

#include <optional>
#include <vector>

#include "framework/sweep/strategy_parse.h"

namespace tarflow::sweep {

// Whether the node, or the one that it names, states a product. The name `product` itself makes one
// of the map that it names.
bool is_product(const Node& node, const NamedStrategies* names);

// The strategies that a node stands for: of a product a node for each combination, the last key
// varying fastest, else the node itself. What is wrong is reported, and nothing is returned then.
std::vector<NodePtr> strategies_of(const NodePtr& node, const NamedStrategies& names,
                                   Report& report);

// A map with `stack`, without its label. As read_strategy.
std::optional<Strategy> read_stack(const Node& map, const std::optional<FlowSize>& flow,
                                   Report& report);

}  // namespace tarflow::sweep
