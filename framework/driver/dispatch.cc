#include "framework/driver/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "framework/core/error.h"
#include "framework/core/share.h"
#include "framework/driver/help.h"
#include "framework/driver/look.h"
#include "framework/job/file_facts.h"
#include "framework/process/lease.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

sweep::LoadOptions load_options(const RunOptions& options, const fs::path& share) {
  sweep::LoadOptions load;
  load.allow_missing = true;  // some points may run all the same
  load.set = options.set;
  load.only = options.only;
  const fs::path shipped = share / "sweeps";
  load.preset_folders = {shipped, shipped / "presets"};
  load.facts = job::file_facts(options.programs / "run_job", options.results / ".cache");
  return load;
}

// The sweep as its file states it, without --set: the record keeps its results. Nothing where the
// results of this call are not in its record, or where the file alone is no sweep.
std::optional<sweep::Sweep> file_alone(const sweep::Sweep& sweep, const RunOptions& options,
                                       const ExperimentSchemas& schemas, const fs::path& share) {
  if (options.set.empty() || options.smoke) return std::nullopt;
  sweep::LoadOptions load = load_options(options, share);
  load.set.clear();
  load.only.clear();
  try {
    sweep::Sweep alone = sweep::load_sweep(sweep.file, schemas, load);
    if (alone.name == sweep.name) return alone;
  } catch (const Error&) {
    // It has no points then that could have results.
  }
  return std::nullopt;
}

std::vector<sweep::Sweep> load_all(const RunOptions& options, const ExperimentSchemas& schemas,
                                   const fs::path& share) {
  const sweep::LoadOptions load = load_options(options, share);
  std::vector<sweep::Sweep> sweeps;
  std::vector<Problem> problems;
  std::set<std::string> names;
  for (const fs::path& file : options.files) {
    try {
      sweeps.push_back(sweep::load_sweep(file, schemas, load));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
      continue;
    }
    for (const Problem& warning : sweeps.back().warnings) complain("warning: " + warning.str());
    if (!names.insert(sweeps.back().name).second) {
      problems.push_back({Place{file.string()},
                          fmt::format("two of the sweeps are named {}", sweeps.back().name),
                          "give it a `name:` of its own", ""});
    }
  }
  if (!problems.empty()) throw Error(std::move(problems));
  return sweeps;
}

}  // namespace

int dispatch(const RunOptions& options) {
  const fs::path share = share_folder(options.programs);
  const ExperimentSchemas schemas = schemas_of(options);
  int status = kAllDone;
  for (sweep::Sweep& sweep : load_all(options, schemas, share)) {
    int one = kHeld;
    try {
      if (options.action == Action::kRun) {
        std::optional<sweep::Sweep> alone = file_alone(sweep, options, schemas, share);
        one = run_sweep(std::move(sweep), schemas, options, std::move(alone));
      } else {
        one = look_at(std::move(sweep), schemas, options);
      }
    } catch (const process::LeaseHeld& held) {  // nothing is wrong with the input
      complain(fmt::format("error: {}", held.what()));
    }
    if (one == kInterrupted) return one;
    status = std::max(status, one);
  }
  return status;
}

}  // namespace tarflow::driver
