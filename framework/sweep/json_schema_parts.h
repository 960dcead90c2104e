// Pieces of the JSON Schema of sweeps. For json_schema.cc and json_schema_strategy.cc alone.
#pragma once

#include <string>
#include <utility>

#include "framework/core/json.h"

namespace tarflow::sweep {

// A reference to a definition.
inline Json to(const std::string& name) { return {{"$ref", "#/definitions/" + name}}; }

inline Json described(Json schema, const std::string& text) {
  schema["description"] = text;
  schema["markdownDescription"] = text;
  return schema;
}

inline Json list_of(Json items) {
  return {{"type", "array"}, {"items", std::move(items)}, {"minItems", 1}};
}

inline Json one_or_list(Json schema) { return {{"anyOf", Json::array({list_of(schema), schema})}}; }

// What a window states, in a block or for all blocks.
Json window_properties();
// A strategy in any of its forms.
Json strategy_schema();

}  // namespace tarflow::sweep
