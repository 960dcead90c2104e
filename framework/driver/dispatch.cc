#include "framework/driver/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
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

std::vector<sweep::Sweep> load_all(const RunOptions& options, const ExperimentSchemas& schemas,
                                   const fs::path& share) {
  sweep::LoadOptions load;
  load.allow_missing = true;  // some points may run all the same
  load.set = options.set;
  load.only = options.only;
  const fs::path shipped = share / "sweeps";
  load.preset_folders = {shipped, shipped / "presets"};
  load.facts = job::file_facts(options.programs / "run_job", options.results / ".cache");
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
      one = options.action == Action::kRun ? run_sweep(std::move(sweep), schemas, options)
                                           : look_at(std::move(sweep), schemas, options);
    } catch (const process::LeaseHeld& held) {  // nothing is wrong with the input
      complain(fmt::format("error: {}", held.what()));
    }
    if (one == kInterrupted) return one;
    status = std::max(status, one);
  }
  return status;
}

}  // namespace tarflow::driver
