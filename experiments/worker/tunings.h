// `strategy: auto`: the tuning of a job's model, device, batch and guidance, made once for all jobs
// that need it (docs/tuning.md).
#pragma once

#include <string>
#include <vector>

#include "experiments/worker/job_context.h"
#include "experiments/worker/tuning.h"

namespace tarflow::experiments {

class DistanceRise;

struct TuningWish {
  double deviation = 0.03;
  int64_t batch = 64;
  double cfg = 0, attn_temp = 1;
  double memory_limit = 0;  // GB, as the setting
  bool self_denoising = false;
  double fd_rise = 0;            // as a share; 0: the deviation is the bound
  DistanceRise* rise = nullptr;  // measures it; needed where it is stated
};

struct KeptTuning {
  Tuning tuning;
  std::string hash;   // of the methods that it chose
  bool made = false;  // by this job
};

// It is kept in the folder `cache` of the results by the checkpoint's content, the choice of its
// weights, compute type, device, threads, batch, what of it memory holds, guidance and deviation,
// and made where none is kept: by one job at a time, while others that need it wait. What was
// stopped goes on after the last block that was done. All ranks of a job call this; rank 0 reads or
// makes it, and all receive the same. What was chosen and what it took goes to the log and to the
// environment. To be called before anything is timed. Throws Error, and Stopped.
KeptTuning tuning_for(JobContext& context, const TuningWish& wish, const Model& model);

// The strategy itself where it states its methods, else what the tuning chooses; that goes to the
// columns of tuned_columns().
Strategy tuned_strategy(JobContext& context, const Strategy& strategy, TuningWish wish,
                        const Model& model);
// The hash that tuned_strategy() put into the environment of rank 0; "" where there is none.
std::string tuned_hash(JobContext& context);

// Cells of these columns, of all points.
std::vector<Column> tuned_columns();
void set_tuned_columns(JobContext& context, const KeptTuning& kept);

}  // namespace tarflow::experiments
