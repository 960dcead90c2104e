// Files that one experiment of a sweep writes (its `output`) and another reads: they need not be
// there yet when the sweep is read.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/sweep/report.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

// The field that names what an experiment writes beside its result, relative to the working folder.
inline constexpr const char* kOutput = "output";

using Paths = std::set<std::filesystem::path>;

// Adds what stands below a key `output` anywhere in the node, as absolute paths.
void add_outputs(const Node& node, Paths& outputs);
// The same for the value of such a key itself.
void add_output_texts(const Node& node, Paths& outputs);

// Which point makes each file of `outputs` that a point reads: its id, by absolute path. Reports
// files that several points would make, each differently.
std::map<std::filesystem::path, std::string> find_makers(const std::vector<Point>& points,
                                                         const ExperimentSchemas& schemas,
                                                         const std::map<std::string, Model>& models,
                                                         const Paths& outputs,
                                                         std::vector<Problem>& errors);

// The files that a point reads of those in `makers`: what its paths name, and the checkpoint of its
// model.
std::vector<std::filesystem::path> made_files_of(
    const ExperimentSchema& schema, const Settings& settings,
    const std::map<std::string, Model>& models,
    const std::map<std::filesystem::path, std::string>& makers);

}  // namespace tarflow::sweep
