// --set: "key=value" in the place of what the sweep file says.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/sweep/use.h"

namespace tarflow::sweep {

struct Overrides {
  // Of settings, by the experiment's name ("": all) and the field's; the later one wins.
  std::map<std::string, std::map<std::string, Entry>> settings;
  std::vector<Entry> run;  // `run.key`, as keys of `run:`
  std::vector<Entry>
      paths;  // `name`, `models.a.b`, `strategies.a`, `defaults.a`: places in the file

  // Those of an experiment.
  std::map<std::string, NodePtr> of(const ExperimentSchema& schema) const;
};

// Splits and parses each text, with places in it that messages show under the name --set. What is
// wrong is reported.
Overrides read_overrides(const std::vector<std::string>& texts, Sources& sources,
                         Expander& expander, Report& report);

// The sweep file with `paths` put in. A name that is not there is reported.
NodePtr with_overrides(const NodePtr& root, const Overrides& overrides, Report& report);

// Reports settings that none of the sweep's experiments has.
void require_used(const Overrides& overrides, const std::vector<const ExperimentSchema*>& used,
                  Report& report);

// A text of the command line as a source of its own, called `name` in messages. `yaml` is the part
// that is parsed, each of its characters in the column in which `text` has it. Throws Error with
// its place when it is no YAML.
NodePtr parse_argument(const std::string& text, std::string yaml, const std::string& name,
                       Sources& sources, int& source);

}  // namespace tarflow::sweep
