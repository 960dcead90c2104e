// The help's examples are sweeps.
#include <sstream>

#include "framework/sweep/help_topics.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

// The blocks of lines indented by four spaces, without that.
std::vector<std::string> examples(const std::string& text) {
  std::vector<std::string> blocks;
  std::istringstream in(text);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    const bool indented = line.starts_with("    ");
    if (indented && !inside) blocks.emplace_back();
    if (indented) blocks.back() += line.substr(4) + "\n";
    inside = indented;
  }
  return blocks;
}

// What the block leaves out of a sweep.
std::string whole(std::string block) {
  const auto has = [&](const std::string& key) {
    return block.starts_with(key + ":") || block.find("\n" + key + ":") != std::string::npos;
  };
  if (block.starts_with("- ")) {
    std::string indented;
    std::istringstream in(block);
    for (std::string line; std::getline(in, line);) indented += "  " + line + "\n";
    block = "experiments:\n" + indented;
  }
  if (!has("experiments")) block += "experiments: [{evaluate: {strategy: For}}]\n";
  if (!has("models")) {
    block +=
        "models:\n  m: {checkpoint: a_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}\n"
        "  other: {checkpoint: b_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}\n";
  }
  const bool afhq = block.find("  afhq:") != std::string::npos;
  return has("defaults") ? block
                         : block + fmt::format("defaults: {{model: {}}}\n", afhq ? "afhq" : "m");
}

class HelpTopics : public SweepTest {};

TEST_F(HelpTopics, ExamplesLoad) {
  // The experiments as the programs have them: an example must not name a setting that is not
  // theirs.
  const ExperimentSchemas schemas =
      read_experiment_schemas(TARFLOW_SOURCE_DIR "/tests/fuzz/experiments.json");
  size_t count = 0;
  for (const HelpTopic& topic : help_topics()) {
    for (const std::string& block : examples(topic.text)) {
      ++count;
      try {
        const Sweep sweep =
            load_sweep(write("test.yaml", whole(block)), schemas,
                       {.allow_missing = true, .preset_folders = {TARFLOW_SOURCE_DIR "/sweeps"}});
        EXPECT_FALSE(sweep.points.empty()) << topic.name;
        EXPECT_THAT(sweep.warnings, ::testing::IsEmpty()) << topic.name << sweep.warnings[0].str();
      } catch (const Error& error) {
        ADD_FAILURE() << topic.name << "\n" << whole(block) << error.what();
      }
    }
  }
  EXPECT_GE(count, help_topics().size());
}

TEST_F(HelpTopics, FitAScreen) {
  for (const HelpTopic& topic : help_topics()) {
    std::istringstream in(topic.text);
    int lines = 0;
    for (std::string line; std::getline(in, line); ++lines) {
      EXPECT_LE(line.size(), 100U) << topic.name << ": " << line;
    }
    EXPECT_LE(lines, 32) << topic.name;
  }
}

}  // namespace
}  // namespace tarflow::sweep
