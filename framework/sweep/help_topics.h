// What `run_sweep --help TOPIC` prints about sweep files.
#pragma once

#include <string>
#include <vector>

namespace tarflow::sweep {

struct HelpTopic {
  std::string name;
  std::string title;
  std::string text;  // at most a screen; lines indented by four spaces are YAML
};

const std::vector<HelpTopic>& help_topics();

}  // namespace tarflow::sweep
