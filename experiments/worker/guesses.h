// `guess: auto`: the initial guess of each block by its initial guessing metric on real images
// (method.md section 3), measured once for all jobs that need it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/worker/folder_batches.h"
#include "experiments/worker/job_context.h"
#include "experiments/worker/settings.h"
#include "framework/core/strategy.h"
#include "framework/metrics/igm_crm.h"

namespace tarflow::experiments {

// Feeds the folder's images to the sums of rank 0; all ranks work on them. Images for which a
// block's sums are not finite fail the job or are left out, as `wanted` says. Throws Error where
// none is left.
FolderCount add_folder(JobContext& context, const FolderBatches& wanted, const Model& model,
                       metrics::IgmCrm& sums);

// What `guess: auto` is decided by, and how.
struct GuessSettings {
  std::string images;  // folder of real images; "" where no strategy needs it
  std::string layout;  // of that folder; "" where it leaves no doubt
  int64_t num_images = 1000;
  std::string nonfinite = "fail";  // the setting of the experiment

  void bind(Binder& binder);
};

// The initial guessing metrics of each block in checkpoint order, norm 2.
struct GuessMetrics {
  std::vector<double> igm_z, igm_zero;
  int64_t nonfinite = 0;  // images that were left out because something was not finite

  Guess guess(size_t block) const;  // z where igm_z <= igm_zero
};

// Of the job's model in its compute type, without labels. They are kept in the folder `cache` of
// the results by content of model and images, number and compute type, so that they are measured
// once for all jobs.
GuessMetrics measure_guesses(JobContext& context, const GuessSettings& settings,
                             const Model& model);
// Keeps what another experiment measured in the same way; `images_content` as in Job::contents.
void keep_guesses(JobContext& context, const std::string& images_content, int64_t num_images,
                  const Model& model, const GuessMetrics& metrics);

// The strategies of the job's points, perhaps with others behind them, each open guess replaced by
// the better one. Where one is open, what was chosen and why goes to the log, to the point's column
// `chosen_guesses` and to the arrays of guess_arrays_and(); so to be called once. Throws Error when
// images are needed and not named, or too few.
std::vector<Strategy> chosen_strategies(JobContext& context, std::vector<Strategy> strategies,
                                        const GuessSettings& settings, const Model& model);
// The same for a job whose points have one strategy.
Strategy chosen_strategy(JobContext& context, const Strategy& strategy,
                         const GuessSettings& settings, const Model& model);

// The arrays of what was chosen, before `others`.
std::vector<ArrayInfo> guess_arrays_and(std::vector<ArrayInfo> others);
Column guess_column();

}  // namespace tarflow::experiments
