// The registry of experiments: each file in this folder registers one.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "experiments/worker/job_context.h"
#include "experiments/worker/settings.h"
#include "framework/core/experiment.h"

namespace tarflow::experiments {

struct Experiment {
  ExperimentSchema schema;
  std::function<void(JobContext&)> run;  // throws Error
};

// By name. The only global state of the program.
std::map<std::string, Experiment>& registry();

// `static const bool registered = register_experiment<Settings>({...}, run);`
template <typename Settings>
bool register_experiment(ExperimentSchema schema, std::function<void(JobContext&)> run) {
  schema.fields = fields_of<Settings>();
  std::string name = schema.name;
  return registry().emplace(std::move(name), Experiment{std::move(schema), std::move(run)}).second;
}

ExperimentSchemas all_schemas();

}  // namespace tarflow::experiments
