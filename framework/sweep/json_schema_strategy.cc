#include "framework/core/strategy.h"
#include "framework/sweep/json_schema_parts.h"

namespace tarflow::sweep {

Json window_properties() {
  Json guesses = Json::array();
  for (const WindowGuess guess : {WindowGuess::kZ, WindowGuess::kUp, WindowGuess::kLinear})
    guesses.push_back(to_string(guess));
  return {{"window", described({{"type", "integer"}, {"minimum", 1}}, "Inputs an evaluation.")},
          {"tolerance", described({{"type", "number"}, {"minimum", 0}},
                                  "The largest rms change of a token that counts as settled.")},
          {"guess", described({{"enum", std::move(guesses)}}, "What stands for tokens not final.")},
          {"sweeps", described({{"type", "integer"}, {"minimum", 1}},
                               "Solves of the linear model's system; of guess linear alone.")},
          {"pattern", described({{"type", "string"}, {"pattern", "^[FH]*F[FH]*$"}},
                                "Evaluations, repeated: F full, H the conditional pass alone.")}};
}

namespace {

// What of a strategy may be a list in a product, each number as `value` makes of it.
Json product_schema(const Json& window, Json (*value)(Json)) {
  const Json number = {{"type", "integer"}, {"minimum", 1}};
  Json stack = {{"stack", described(value({{"type", Json::array({"integer", "string"})}}),
                                    "The tough blocks: 7, or 0/6.")},
                {"segments", value(number)},
                {"iterations", value(number)},
                {"else", value(number)}};
  Json windows = Json::object();
  for (const auto& [key, one] : window.items()) windows[key] = value(one);
  const auto map = [](Json properties, Json required) {
    return Json{{"type", "object"},
                {"required", std::move(required)},
                {"properties", std::move(properties)},
                {"additionalProperties", false}};
  };
  stack["guess"] = value(to("guess"));
  return {{"anyOf", Json::array({map(std::move(stack), {"stack", "segments", "iterations", "else"}),
                                 map(std::move(windows), {"window", "tolerance"})})}};
}

}  // namespace

Json strategy_schema() {
  const Json label =
      described({{"type", Json::array({"string", "number"})}}, "What tables call it.");
  const Json guesses =
      described({{"anyOf", Json::array({list_of(to("guess")), {{"enum", Json::array({"auto"})}}})}},
                "One a block, the last block first; or auto for all.");
  const Json counts = list_of({{"type", "integer"}, {"minimum", 0}});
  const Json named = {{"type", "object"},
                      {"required", Json::array({"name"})},
                      {"properties",
                       {{"name", to("strategy_name")},
                        {"guess", to("guess")},
                        {"guess_list", guesses},
                        {"label", label}}},
                      {"additionalProperties", false}};
  const Json lists = {
      {"type", "object"},
      {"required", Json::array({"num_GS_list"})},
      {"properties",
       {{"num_GS_list", described(counts, "Segments of each block, the last block first.")},
        {"max_jacobi_list", described(counts, "Jacobi iterations at most, a segment.")},
        {"guess", to("guess")},
        {"guess_list", guesses},
        {"label", label}}},
      {"additionalProperties", false}};
  const Json blocks = {{"type", "object"},
                       {"required", Json::array({"blocks"})},
                       {"properties",
                        {{"blocks",
                          {{"type", "object"},
                           {"minProperties", 1},
                           {"patternProperties", {{"^[0-9]+(/[0-9]+)*$", to("block")}}},
                           {"properties", {{"else", to("block")}, {"use", to("use")}}},
                           {"additionalProperties", false}}},
                         {"label", label}}},
                       {"additionalProperties", false}};
  Json window = window_properties();
  const Json product = {
      {"type", "object"},
      {"required", Json::array({"product"})},
      {"properties",
       {{"product", described(product_schema(window, one_or_list),
                              "A strategy for each combination of these values.")}}},
      {"additionalProperties", false}};
  const Json stack = product_schema(window, one_or_list).at("anyOf").at(0);
  for (const char* key : {"window", "tolerance"}) {
    const Json one = window[key];
    window[key] = {{"anyOf", Json::array({one, list_of(one)})},
                   {"description", "One for all blocks, or one a block, the last block first."}};
  }
  window["label"] = label;
  const Json windows = {{"type", "object"},
                        {"required", Json::array({"window", "tolerance"})},
                        {"properties", std::move(window)},
                        {"additionalProperties", false}};
  Json schema = {
      {"anyOf", Json::array({to("strategy_name"), named, lists, windows, blocks, stack, product})},
      {"examples", Json::array({"For", "[7-8-32-10]", "Window-64", "auto"})}};
  return described(
      std::move(schema),
      "How the blocks are inverted: a published name, the three published lists, adaptive windows, "
      "a map of blocks, or a name under `strategies`.");
}

}  // namespace tarflow::sweep
