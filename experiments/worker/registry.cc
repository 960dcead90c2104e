#include "experiments/worker/registry.h"

namespace tarflow::experiments {

std::map<std::string, Experiment>& registry() {
  static std::map<std::string, Experiment> experiments;
  return experiments;
}

ExperimentSchemas all_schemas() {
  ExperimentSchemas schemas;
  for (const auto& [name, experiment] : registry()) schemas.push_back(experiment.schema);
  return schemas;
}

}  // namespace tarflow::experiments
