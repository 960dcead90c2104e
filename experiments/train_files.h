// The models that a training leaves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "experiments/worker/job_context.h"
#include "framework/core/trained.h"
#include "framework/training/trainer.h"

namespace tarflow::experiments {

// Below the job's folder: `checkpoints/step_00001000/` holds what was saved after 1,000 steps.
class TrainFiles {
 public:
  // keep: of those folders the newest are kept; 0: all.
  TrainFiles(JobContext& context, const Trained& trained, int64_t keep);

  // The model, and the one with averaged weights if there is one, after so many steps. A model that
  // cannot be saved costs a line in the log, no more.
  void save(const training::Trainer& trainer);

  struct Result {
    std::string file, sha256;                    // of the model
    std::string averaged_file, averaged_sha256;  // "" without one
  };
  // The end: the files in the job's folder, and in the folder `output` if one is stated. What stood
  // there before is set aside. Throws Error when they cannot be written.
  Result finish(const training::Trainer& trainer);

 private:
  void write(const std::filesystem::path& folder, const training::Trainer& trainer) const;
  void remove_old() const;

  JobContext& context_;
  const Trained trained_;
  const int64_t keep_;
};

}  // namespace tarflow::experiments
