#include "framework/sweep/json_schema.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/shape.h"
#include "framework/core/strategy.h"
#include "framework/sweep/json_schema_parts.h"
#include "framework/sweep/run_parse.h"

namespace tarflow::sweep {
namespace {

// A schema or what stands for any value: `{use: FILE#key}` and a text with `${env:NAME}`.
Json or_reference(Json schema) {
  return {{"anyOf", Json::array({std::move(schema), to("used"), to("environment")})}};
}

Json map_of(Json properties) {
  properties["use"] = to("use");
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"additionalProperties", false},
          {"minProperties", 1}};
}

Json limited(Json schema, const std::optional<double>& minimum,
             const std::optional<double>& maximum) {
  if (minimum) schema["minimum"] = *minimum;
  if (maximum) schema["maximum"] = *maximum;
  return schema;
}

// Choices that read as numbers are numbers where YAML does not quote them.
Json choices_of(const Field& field) {
  Json values = field.choices;
  for (const std::string& choice : field.choices) {
    if (choice.find_first_not_of("0123456789") == std::string::npos) {
      values.push_back(std::stoll(choice));
    }
  }
  return {{"enum", values}};
}

Json value_of(const Field& field) {
  const Json text = {{"type", Json::array({"string", "number", "boolean"})}};
  switch (field.type) {
    case FieldType::kBoolean:
      return {{"type", "boolean"}};
    case FieldType::kInteger:
      return limited({{"type", "integer"}}, field.minimum, field.maximum);
    case FieldType::kNumber:
      return limited({{"type", "number"}}, field.minimum, field.maximum);
    case FieldType::kString:
      return text;
    case FieldType::kChoice:
      return choices_of(field);
    case FieldType::kPath:
      return to("path");
    case FieldType::kModel:
      return {{"type", "string"}, {"minLength", 1}};
    case FieldType::kStrategy:
      return to("strategy");
    case FieldType::kIntegerList:
      return list_of(or_reference(limited({{"type", "integer"}}, field.minimum, field.maximum)));
    case FieldType::kNumberList:
      return list_of(or_reference(limited({{"type", "number"}}, field.minimum, field.maximum)));
  }
  return true;
}

std::string description_of(const Field& field) {
  std::string text = field.description;
  if (!field.unit.empty()) text += fmt::format(" Unit: {}.", field.unit);
  return text;
}

Json documented(const Field& field, Json schema) {
  schema["title"] = field.name;
  if (!field.default_value.is_null() && field.default_value != "") {
    schema["default"] = field.default_value;
  }
  if (!field.example.is_null()) schema["examples"] = Json::array({field.example});
  return described(std::move(schema), description_of(field));
}

// Names of the definitions that belong to an experiment.
struct Names {
  explicit Names(const std::string& experiment)
      : group(experiment + ".group"),
        space(experiment + ".space"),
        entry(experiment + ".entry"),
        condition(experiment + ".condition"),
        settings(experiment + ".settings") {}
  std::string group, space, entry, condition, settings;
};

// Values with which a setting may be compared.
Json compared_with(const std::string& value_name) {
  const Json one = {{"anyOf", Json::array({to(value_name), {{"type", "null"}}})}};
  return {{"anyOf", Json::array({one, list_of(one)})}};
}

// What a condition may say of a setting.
Json test_of(const Field& field, const std::string& values_name) {
  Json tests = {{"not", to(values_name)}};
  if (field.type == FieldType::kInteger || field.type == FieldType::kNumber) {
    for (const char* bound : {"min", "max", "above", "below"}) tests[bound] = {{"type", "number"}};
  }
  Json test = {{"type", "object"},
               {"properties", std::move(tests)},
               {"additionalProperties", false},
               {"minProperties", 1}};
  return {{"anyOf", Json::array({to(values_name), std::move(test)})}};
}

// Values of a setting as an axis of a grid.
Json axis_of(const Field& field, const std::string& value_name) {
  const Json item = to(value_name);
  Json lists = Json::array({list_of(item), to("used")});
  // A product of strategies, or its name, is a list by itself.
  if (field.type == FieldType::kStrategy) lists.push_back(item);
  return described({{"title", field.name}, {"anyOf", std::move(lists)}}, description_of(field));
}

// The definitions of settings. Experiments that have the same setting share one: setting.NAME, or
// EXPERIMENT.setting.NAME where it differs. Behind these names follow .value, the value alone,
// .axis, several of them, .values, what it is compared with, and .test, a condition.
class FieldDefinitions {
 public:
  FieldDefinitions(const ExperimentSchemas& schemas, Json& definitions) {
    for (const ExperimentSchema& schema : schemas) {
      for (const Field& field : schema.fields) {
        const std::string shared = "setting." + field.name;
        if (!define(shared, field, definitions))
          define(name(schema, field) = schema.name + "." + shared, field, definitions);
        else
          name(schema, field) = shared;
      }
    }
  }
  std::string& name(const ExperimentSchema& schema, const Field& field) {
    return names_[{schema.name, field.name}];
  }

 private:
  // Whether the definition is that of this field.
  static bool define(const std::string& name, const Field& field, Json& definitions) {
    Json whole = documented(field, or_reference(value_of(field)));
    if (definitions.contains(name)) return definitions[name] == whole;
    definitions[name + ".value"] = or_reference(value_of(field));
    definitions[name + ".axis"] = axis_of(field, name + ".value");
    definitions[name + ".values"] = compared_with(name + ".value");
    definitions[name + ".test"] = test_of(field, name + ".values");
    definitions[name] = std::move(whole);
    return true;
  }

  std::map<std::pair<std::string, std::string>, std::string> names_;
};

Json space_of(const ExperimentSchema& schema, const Names& names, FieldDefinitions& fields) {
  Json properties;
  for (const Field& field : schema.fields) properties[field.name] = to(fields.name(schema, field));
  const auto linked = [](const std::string& name, const char* text) {
    return described({{"allOf", Json::array({to(name)})}}, text);
  };
  properties["grid"] =
      linked(names.group, "Every combination of these lists; the last varies fastest.");
  properties["zip"] =
      linked(names.group, "Equally long lists, the first values together, and so on.");
  properties["include"] =
      described(one_or_list({{"anyOf", Json::array({to(names.entry), to("used")})}}),
                "Points added to those of the grid. With `when`: settings that extend the earlier "
                "points that match.");
  properties["exclude"] =
      described(one_or_list({{"anyOf", Json::array({to(names.condition), to("used")})}}),
                "Points that match one of these conditions are dropped.");
  return map_of(std::move(properties));
}

Json group_of(const ExperimentSchema& schema, const Names& names, FieldDefinitions& fields) {
  Json axes;
  for (const Field& field : schema.fields)
    axes[field.name] = to(fields.name(schema, field) + ".axis");
  axes["grid"] = to(names.group);
  axes["zip"] = to(names.group);
  return {
      {"anyOf", Json::array({map_of(std::move(axes)),
                             list_of({{"anyOf", Json::array({to(names.space), to("used")})}})})}};
}

Json condition_of(const ExperimentSchema& schema, const Names& names, FieldDefinitions& fields) {
  Json properties;
  for (const Field& field : schema.fields)
    properties[field.name] = to(fields.name(schema, field) + ".test");
  properties["any"] = list_of(to(names.condition));
  properties["all"] = list_of(to(names.condition));
  properties["not"] = to(names.condition);
  return map_of(std::move(properties));
}

void define_experiment(const ExperimentSchema& schema, FieldDefinitions& fields,
                       Json& definitions) {
  const Names names(schema.name);
  Json space = space_of(schema, names, fields);
  definitions[names.space] = space;
  definitions[names.group] = group_of(schema, names, fields);
  definitions[names.condition] = condition_of(schema, names, fields);
  Json entry = space;
  entry["properties"]["when"] = described({{"allOf", Json::array({to(names.condition)})}},
                                          "The points so far that this entry extends.");
  definitions[names.entry] = std::move(entry);
  space["properties"]["run"] = to("run");
  definitions[names.settings] = described(std::move(space), schema.description);
}

Json stop_schema() {
  const Json threshold = {{"type", "number"}, {"minimum", 0}};
  Json properties, one = Json::array();
  for (const std::string& norm : norm_names()) {
    properties[norm] = threshold;
    one.push_back({{"required", Json::array({norm})}});
  }
  properties["scope"] =
      described({{"enum", Json::array({to_string(Scope::kChunk), to_string(Scope::kImage)})}},
                "Images that stop together: all of a chunk, or each for itself.");
  return {{"anyOf", Json::array({{{"enum", Json::array({"none"})}},
                                 {{"type", "object"},
                                  {"oneOf", std::move(one)},
                                  {"properties", std::move(properties)},
                                  {"additionalProperties", false}}})}};
}

Json block_schema() {
  const Json number = {{"anyOf", Json::array({{{"type", "number"}, {"minimum", 0}},
                                              {{"enum", Json::array({"none"})}}})}};
  const Json segments = {{"anyOf", Json::array({{{"type", "integer"}, {"minimum", 0}},
                                                {{"enum", Json::array({"sequential"})}}})}};
  const Json map = {
      {"type", "object"},
      {"oneOf", Json::array({{{"required", Json::array({"segments"})}},
                             {{"required", Json::array({"segment_length"})}}})},
      {"properties",
       {{"segments", described(segments, "0 or sequential; 1: Jacobi; more: GS-Jacobi.")},
        {"segment_length", described({{"type", "integer"}, {"minimum", 1}},
                                     "Tokens a segment of GS-Jacobi, in the place of segments.")},
        {"max_iterations", described({{"type", "integer"}, {"minimum", 1}},
                                     "Maximum number of iterations per segment.")},
        {"guess", to("guess")},
        {"clamp", described(number, "Iterates are limited to [-clamp, clamp].")},
        {"stop", described(stop_schema(),
                           "Ends the iterations of a segment early: the norm of "
                           "their change and its threshold.")}}},
      {"additionalProperties", false}};
  const Json window = {{"type", "object"},
                       {"required", Json::array({"window", "tolerance"})},
                       {"properties", window_properties()},
                       {"additionalProperties", false}};
  return {
      {"anyOf", Json::array({{{"enum", Json::array({"sequential"})}}, map, window, to("used")})}};
}

Json model_schema() {
  const auto whole = [](int minimum, const char* text) {
    return described(or_reference({{"type", "integer"}, {"minimum", minimum}}), text);
  };
  const Json text = {{"type", "string"}, {"minLength", 1}};
  Json properties = {
      {"checkpoint", described({{"anyOf", Json::array({text, to("used")})}},
                               "A .pth, .pt or .safetensors file, best named "
                               "DATASET_model_P_C_K_L_EPS.pth.")},
      {"weights", described(text, "Which model of a file that holds several: model, ema, ...")},
      {"trained_by", described(text,
                               "The `name` of an experiment `train` of this sweep, which "
                               "makes the model.")},
      {"random_weights", described(or_reference({{"type", "integer"}, {"minimum", 0}}),
                                   "Seed of weights that are drawn: no file is needed.")},
      {"published", described(text, "Who publishes the file and where.")},
      {"image_size", whole(1, "Side of the images. Unit: pixels.")},
      {"patch_size", whole(1, "P, side of a patch. Unit: pixels.")},
      {"channels", whole(kHeadWidth, "C, a multiple of 64.")},
      {"blocks", whole(1, "K.")},
      {"layers", whole(1, "L, attention layers a block.")},
      {"classes", whole(0, "0: unconditional.")},
      {"colours", whole(1, "Of the images: 3 (the default), or 1 if grey.")},
      {"noise_std", described(or_reference({{"type", "number"}, {"minimum", 0}}),
                              "Level of the noise in training.")}};
  Json model = map_of(std::move(properties));
  model["anyOf"] = Json::array({{{"required", Json::array({"checkpoint"})}},
                                {{"required", Json::array({"random_weights"})}},
                                {{"required", Json::array({"trained_by"})}},
                                {{"required", Json::array({"use"})}}});
  return described(std::move(model),
                   "A checkpoint. State only values that the file and its name do not hold.");
}

Json run_schema() {
  Json properties;
  for (const RunKey& key : run_keys()) {
    Json value;
    if (key.type == RunType::kBoolean) value = {{"type", "boolean"}};
    if (key.type == RunType::kCount)
      value = limited({{"type", "integer"}}, key.minimum, key.maximum);
    if (key.type == RunType::kDuration) {
      const Json number = limited({{"type", "number"}}, key.minimum, key.maximum);
      const std::string unit = "(s|sec|seconds?|min|minutes?|h|hours?|d|days?)";
      Json text = {
          {"type", "string"},
          {"pattern", fmt::format("^([0-9.eE+-]+ *{}{}|none)$", unit, key.asks_unit ? "" : "?")}};
      Json numbers = number;
      if (key.asks_unit) {
        Json large = number;
        large["exclusiveMinimum"] = kLongestInMinutes;
        numbers = {{"anyOf", Json::array({{{"const", 0}}, std::move(large)})}};
      }
      value = {{"anyOf", Json::array({std::move(numbers), std::move(text)})},
               {"examples", Json::array({"30 s", "10 min", "2 h"})}};
    }
    if (key.type == RunType::kBytes) {
      value = {
          {"anyOf",
           Json::array({{{"const", 0}},
                        {{"type", "string"}, {"pattern", "^([0-9.eE+-]+ *(B|kB|MB|GB|TB)|0)$"}}})},
          {"examples", Json::array({"500 MB", "1 GB", "2 TB"})}};
    }
    Json property = described(or_reference(std::move(value)),
                              fmt::format("{} Default: {}.", key.description, run_default(key)));
    properties[key.name] = std::move(property);
  }
  return described(map_of(std::move(properties)), "How jobs run. It changes no result.");
}

Json common_definitions() {
  Json definitions;
  const Json file = {{"type", "string"}, {"minLength", 1}};
  definitions["use"] = described({{"anyOf", Json::array({file, list_of(file)})},
                                  {"examples", Json::array({"presets/paper.yaml#afhq.settings"})}},
                                 "FILE or FILE#key: values from another file; keys beside it win.");
  definitions["used"] = {{"type", "object"},
                         {"properties", {{"use", to("use")}}},
                         {"required", Json::array({"use"})},
                         {"additionalProperties", false}};
  definitions["environment"] = {{"type", "string"}, {"pattern", "\\$\\{env:"}};
  definitions["path"] = {
      {"anyOf",
       Json::array(
           {{{"type", Json::array({"string", "number"})}},
            {{"type", "object"},
             {"properties", {{"path", {{"type", "string"}}}, {"published", {{"type", "string"}}}}},
             {"required", Json::array({"path"})},
             {"additionalProperties", false}}})}};
  definitions["guess"] =
      described({{"enum", Json::array({0, 1, "z", "zero", "auto", "0", "1"})}},
                "0 or z: the block's input itself; 1 or zero: its token 0, zeros elsewhere; auto: "
                "the one of the smaller IGM on real images, `guess_images` beside the strategy.");
  // Unquoted, [7-8-32-10] is a list of one text.
  definitions["strategy_name"] = {{"anyOf", Json::array({{{"type", "string"}, {"minLength", 1}},
                                                         {{"type", "array"},
                                                          {"items", {{"type", "string"}}},
                                                          {"minItems", 1},
                                                          {"maxItems", 1}}})}};
  definitions["block"] = block_schema();
  definitions["strategy"] = strategy_schema();
  definitions["model"] = model_schema();
  definitions["run"] = run_schema();
  return definitions;
}

Json experiments_schema(const ExperimentSchemas& schemas) {
  Json names = Json::array();
  Json properties;
  for (const ExperimentSchema& schema : schemas) {
    names.push_back(schema.name);
    properties[schema.name] =
        described({{"anyOf", Json::array({to(schema.name + ".settings"), {{"type", "null"}}})}},
                  schema.description);
  }
  const Json stated = {{"type", "object"},
                       {"properties", properties},
                       {"additionalProperties", false},
                       {"minProperties", 1},
                       {"maxProperties", 1}};
  const Json item = {{"anyOf", Json::array({stated, {{"enum", names}}, to("used")})}};
  return described({{"anyOf", Json::array({list_of(item), to("used")})}}, "What to run.");
}

// A field of several experiments may be that of any of them.
Json defaults_schema(const ExperimentSchemas& schemas, FieldDefinitions& fields) {
  std::map<std::string, std::set<std::string>> definitions;
  for (const ExperimentSchema& schema : schemas)
    for (const Field& field : schema.fields)
      definitions[field.name].insert(fields.name(schema, field));
  Json properties;
  for (const auto& [field, names] : definitions) {
    Json any = Json::array();
    for (const std::string& name : names) any.push_back(to(name));
    properties[field] = names.size() == 1 ? any[0] : Json{{"anyOf", std::move(any)}};
  }
  return described(map_of(std::move(properties)),
                   "Settings for every experiment that has them. Settings of an experiment win.");
}

Json named(const std::string& definition, const char* text) {
  return described(
      {{"type", "object"},
       {"minProperties", 1},
       {"properties", {{"use", to("use")}}},
       {"additionalProperties", {{"anyOf", Json::array({to(definition), to("used")})}}}},
      text);
}

}  // namespace

Json sweep_json_schema(const ExperimentSchemas& schemas) {
  Json definitions = common_definitions();
  FieldDefinitions fields(schemas, definitions);
  for (const ExperimentSchema& schema : schemas) define_experiment(schema, fields, definitions);
  Json properties = {
      {"name", described({{"type", Json::array({"string", "number"})}},
                         "Of the results, results/NAME.h5; the file's own name without it.")},
      {"models", named("model", "Checkpoints by the names that experiments use.")},
      {"strategies", named("strategy", "Strategies by the names that experiments use.")},
      {"defaults", defaults_schema(schemas, fields)},
      {"run", to("run")},
      {"experiments", experiments_schema(schemas)},
      {"use", to("use")}};
  Json keys = Json::array();
  for (const auto& [key, value] : properties.items()) keys.push_back(key);
  return {{"$schema", "http://json-schema.org/draft-07/schema#"},
          {"title", "TarFlow sweep"},
          {"description", "What run_sweep runs, or a file of values for `use:`."},
          {"type", "object"},
          {"properties", std::move(properties)},
          // Files of values have keys of their own.
          {"if", {{"required", Json::array({"experiments"})}}},
          {"then", {{"propertyNames", {{"enum", std::move(keys)}}}}},
          {"definitions", std::move(definitions)}};
}

}  // namespace tarflow::sweep
