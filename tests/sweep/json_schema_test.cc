// The JSON Schema of sweeps, judged by another's validator.
#include "framework/sweep/json_schema.h"

#include "framework/sweep/yaml.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

const std::filesystem::path kShipped = TARFLOW_SOURCE_DIR "/sweeps";

TEST(JsonSchema, EveryFieldHasItsDescriptionDefaultAndRange) {
  const Json schema = sweep_json_schema(test_schemas());
  const auto setting = [&](const Json& properties, const std::string& name) {
    const std::string where = properties.at(name).at("$ref").get<std::string>();
    return schema["definitions"].at(where.substr(std::string("#/definitions/").size()));
  };
  const Json cfg = setting(schema["definitions"]["evaluate.settings"]["properties"], "cfg");
  EXPECT_EQ(cfg["description"], "the cfg");
  EXPECT_EQ(cfg["markdownDescription"], "the cfg");
  EXPECT_EQ(cfg["default"], 0.0);
  EXPECT_EQ(schema["definitions"]["setting.attn_temp.value"]["anyOf"][0]["maximum"], 10);
  for (const ExperimentSchema& experiment : test_schemas()) {
    for (const Field& field : experiment.fields) {
      EXPECT_TRUE(
          schema["definitions"][experiment.name + ".settings"]["properties"].contains(field.name));
      EXPECT_TRUE(schema["properties"]["defaults"]["properties"].contains(field.name));
    }
  }
}

TEST(JsonSchema, EveryReferenceHasItsDefinition) {
  const Json schema = sweep_json_schema(test_schemas());
  const Json flat = schema.flatten();
  int count = 0;
  for (const auto& [path, value] : flat.items()) {
    if (!path.ends_with("/$ref")) continue;
    ++count;
    const std::string name = value.get<std::string>().substr(std::string("#/definitions/").size());
    EXPECT_TRUE(schema["definitions"].contains(name)) << name;
  }
  EXPECT_GT(count, 100);
}

TEST(JsonSchema, ASettingThatExperimentsShareIsDefinedOnce) {
  ExperimentSchemas schemas = test_schemas();
  const Json whole = sweep_json_schema(schemas);
  const size_t one = whole.dump().size();
  ExperimentSchema other = *std::find_if(
      schemas.begin(), schemas.end(), [](const auto& schema) { return schema.name == "evaluate"; });
  other.name = "zzz";
  other.fields.front().description += " of another kind";
  schemas.push_back(other);
  const Json both = sweep_json_schema(schemas);
  const Json& properties = both["definitions"]["zzz.settings"]["properties"];
  const std::string first = other.fields[0].name, second = other.fields[1].name;
  EXPECT_EQ(properties[first]["$ref"], "#/definitions/zzz.setting." + first);
  EXPECT_EQ(properties[second]["$ref"], "#/definitions/setting." + second);
  EXPECT_EQ(both["definitions"]["setting." + first], whole["definitions"]["setting." + first]);
  EXPECT_LT(both.dump().size() - one, one / 2);
}

TEST(JsonSchema, TheOneOfTheBuildIsThatOfItsExperiments) {
  const std::filesystem::path share = TARFLOW_BINARY_DIR "/share";
  if (!std::filesystem::exists(share / "schema.json"))
    GTEST_SKIP() << "no share/schema.json: run_job is not built here";
  const Json made = read_json_file(share / "schema.json");
  EXPECT_EQ(made, sweep_json_schema(read_experiment_schemas(share / "experiments.json")));
  EXPECT_EQ(read_json_file(kShipped / "schema.json"), made) << "to which sweep files lead";
}

}  // namespace
}  // namespace tarflow::sweep

#ifdef TARFLOW_HAVE_VALIJSON
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace tarflow::sweep {
namespace {

// As editors read YAML.
Json json_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::kNull:
      return nullptr;
    case NodeKind::kList: {
      Json list = Json::array();
      for (const NodePtr& item : node.items) list.push_back(json_of(*item));
      return list;
    }
    case NodeKind::kMap: {
      Json map = Json::object();
      for (const Entry& entry : node.entries) map[entry.key] = json_of(*entry.value);
      return map;
    }
    case NodeKind::kScalar:
      break;
  }
  if (node.quoted) return node.text;
  const Json value = Json::parse(node.text, nullptr, false);
  return value.is_number() || value.is_boolean() ? value : Json(node.text);
}

// What the validator says; "" when it accepts.
std::string verdict(const Json& schema, const Document& document) {
  valijson::Schema parsed;
  valijson::SchemaParser parser;
  parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(schema), parsed);
  const Json value = json_of(*document.root);
  valijson::Validator validator;
  valijson::ValidationResults results;
  if (validator.validate(parsed, valijson::adapters::NlohmannJsonAdapter(value), &results))
    return "";
  valijson::ValidationResults::Error error;
  std::string text;
  while (results.popError(error)) {
    for (const std::string& part : error.context) text += part;
    text += ": " + error.description + "\n";
  }
  return text;
}

std::string verdict_on(const std::string& settings) {
  static const Json schema = sweep_json_schema(test_schemas());
  return verdict(schema, parse_yaml(evaluate_with(settings), "test.yaml"));
}

TEST(JsonSchema, AcceptsTheShippedFiles) {
  const std::filesystem::path file = TARFLOW_BINARY_DIR "/share/experiments.json";
  if (!std::filesystem::exists(file))
    GTEST_SKIP() << "no share/experiments.json: run_job is not built here";
  const Json schema = sweep_json_schema(read_experiment_schemas(file));
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kShipped)) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    EXPECT_EQ(verdict(schema, read_yaml(entry.path())), "") << entry.path();
  }
  EXPECT_GE(count, 7);
}

TEST(JsonSchema, AcceptsTheLanguage) {
  for (const char* settings :
       {"      cfg: 1\n",
        "      cfg: ${env:CFG}\n",
        "      cfg: {use: a.yaml#b}\n",
        "      norm: 2\n",
        "      strategy: [7-8-4-4]\n",
        "      strategy: {name: '[7-8-4-4]', guess: z, label: a}\n",
        "      strategy: {name: '[7-8-4-4]', guess: auto}\n      guess_images: a\n",
        "      strategy: {name: '[7-8-4-4]', guess_list: auto}\n",
        "      strategy: {name: '[7-8-4-4]', guess_list: [auto, 0]}\n",
        "      strategy: {num_GS_list: [8, 1], max_jacobi_list: [4, 4]}\n",
        "      strategy: {blocks: {7: sequential, 0/6: {segments: 2, max_iterations: 3, stop: "
        "none}, else: "
        "{segments: sequential}}}\n",
        "      grid: {cfg: [0, 1], strategy: [For, {use: a.yaml}], zip: {seed: [1], batch: [2]}}\n",
        "      grid: [{zip: {seed: [1]}}, {grid: {cfg: [1]}}]\n",
        "      include: [{cfg: 1}, {when: {cfg: {min: 1}, any: [{seed: 1}]}, seed: 2}]\n",
        "      exclude: [{cfg: [0, 1], seed: {not: 3}}, {batch: null}]\n",
        "      run: {time_limit: 2 h, retries: 1}\n",
        "      run: {time_limit: 0, backoff: 5}\n",
        "      run: {time_limit: 86400}\n",
        "      run: {merge_limit: 0}\n",
        "      run: {merge_limit: 500 MB}\n",
        "      images: {path: a, published: b}\n",
        "      classes_kept: [1, 2]\n",
        "      use: [a.yaml#b, c.yaml]\n"}) {
    EXPECT_EQ(verdict_on(settings), "") << settings;
  }
}

TEST(JsonSchema, RejectsTypicalMistakes) {
  for (const char* settings : {"      cgf: 1\n",
                               "      cfg: much\n",
                               "      cfg: -1\n",
                               "      attn_temp: 11\n",
                               "      exact: yes\n",
                               "      norm: frob\n",
                               "      num_images: 2.5\n",
                               "      strategy: 3\n",
                               "      strategy: {nam: For}\n",
                               "      strategy: {blocks: {x: sequential}}\n",
                               "      strategy: {name: For, guess: maybe}\n",
                               "      grid: {cfg: 1}\n",
                               "      grid: {cgf: [1]}\n",
                               "      grid: {cfg: []}\n",
                               "      zip: 3\n",
                               "      exclude: [{cgf: 1}]\n",
                               "      exclude: [{cfg: {mn: 1}}]\n",
                               "      include: [{when: {cgf: 1}}]\n",
                               "      run: {retrys: 1}\n",
                               "      run: {time_limit: soon}\n",
                               "      run: {time_limit: 120}\n",
                               "      run: {merge_limit: 5}\n",
                               "      run: {merge_limit: 5 gb}\n",
                               "      run: {time_limit: \"120\"}\n",
                               "      when: {cfg: 1}\n",
                               "      classes_kept: 3\n",
                               "  - evaluat: {cfg: 1}\n",
                               "nam: x\n",
                               "name: [x]\n"}) {
    EXPECT_NE(verdict_on(settings), "") << settings;
  }
}

}  // namespace
}  // namespace tarflow::sweep

#else

TEST(JsonSchema, NeedValijson) { GTEST_SKIP() << "valijson is not installed"; }

#endif
