// A sweep as the subcommands that run nothing see it.
#pragma once

#include <optional>
#include <string>

#include "framework/core/complain.h"
#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/driver/run.h"
#include "framework/job/plan.h"
#include "framework/job/smoke.h"
#include "framework/slurm/cluster_profile.h"
#include "framework/sweep/sweep.h"

namespace tarflow::driver {

// Does what options.action says with one sweep: anything but running it. Returns the exit status.
// Throws Error.
int look_at(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options);

class Look {
 public:
  // With --smoke: the trial of the sweep in its place.
  Look(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options);

  // Throws Error where the results belong to another sweep file. `deletes`: see owner.h.
  void require_owner(bool deletes) const;

  // Says on stderr which results do not count.
  job::Plan plan() const;
  job::PlanOptions plan_options() const;

  const sweep::Sweep& sweep() const { return sweep_; }
  const ExperimentSchemas& schemas() const { return schemas_; }
  const RunOptions& options() const { return options_; }
  const slurm::ClusterProfile& profile() const { return profile_; }
  const std::string& name() const { return name_; }                  // of the results
  const std::filesystem::path& folder() const { return folder_; }    // results/<name>
  const std::optional<job::Smoke>& smoke() const { return smoke_; }  // but for its sweep

 private:
  sweep::Sweep sweep_;
  const ExperimentSchemas& schemas_;
  const RunOptions& options_;
  slurm::ClusterProfile profile_;
  std::string name_;
  std::filesystem::path folder_;
  std::optional<job::Smoke> smoke_;
  SharedJson smoke_note_;
};

// On stdout, at once. Returns kAllDone.
int print(const std::string& text);

// What --json prints of one sweep, on a line of its own. docs/sweeps.md has the keys; a key that
// changes its meaning or goes raises the version.
inline constexpr int kJsonVersion = 1;
int print_json(const Json& value);

// The subcommands, a file each. They return the exit status and throw Error.
int plan_sweep(const Look& look);
int show_status(const Look& look);
int watch_sweep(const Look& look);
int show_log(const Look& look);
int cancel_sweep(const Look& look);
int clean_sweep(const Look& look);

}  // namespace tarflow::driver
