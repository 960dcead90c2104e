#include "experiments/train_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/training/state_file.h"

namespace tarflow::experiments {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFolder = "checkpoints";
constexpr const char* kStep = "step_";

}  // namespace

TrainFiles::TrainFiles(JobContext& context, const Trained& trained, int64_t keep)
    : context_(context), trained_(trained), keep_(keep) {}

void TrainFiles::write(const fs::path& folder, const training::Trainer& trainer) const {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) {
    throw Error(fmt::format("cannot make the folder {}: {}", folder.string(), failed.message()),
                "make it, or name another one");
  }
  const training::State& state = trainer.state();
  training::write_state(folder / trained_.file(), trainer.layout(), state.row, state.var);
  if (state.average.defined()) {
    training::write_state(folder / trained_.averaged_file(), trainer.layout(), state.average,
                          state.var);
  }
}

void TrainFiles::save(const training::Trainer& trainer) {
  if (!context_.comm().first()) return;
  const fs::path folder =
      context_.folder() / kFolder / fmt::format("{}{:08}", kStep, trainer.state().steps);
  try {
    write(folder, trainer);
    remove_old();
  } catch (const std::exception& failure) {
    context_.log(fmt::format("the model of step {} is not saved, and the training goes on: {}",
                             trainer.state().steps, failure.what()));
  }
}

void TrainFiles::remove_old() const {
  if (keep_ == 0) return;
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(context_.folder() / kFolder)) {
    if (entry.path().filename().string().starts_with(kStep)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());  // numbers have leading zeros
  for (size_t i = 0; i + static_cast<size_t>(keep_) < folders.size(); ++i)
    fs::remove_all(folders[i]);
}

TrainFiles::Result TrainFiles::finish(const training::Trainer& trainer) {
  write(context_.folder(), trainer);
  Result result;
  result.file = trained_.file();
  result.sha256 = sha256_file(context_.folder() / result.file);
  if (trainer.state().average.defined()) {
    result.averaged_file = trained_.averaged_file();
    result.averaged_sha256 = sha256_file(context_.folder() / result.averaged_file);
  }
  if (trained_.folder.empty()) return result;
  for (const auto& [name, sha256] : {std::pair{result.file, result.sha256},
                                     std::pair{result.averaged_file, result.averaged_sha256}}) {
    const fs::path file = trained_.folder / name;
    if (name.empty() || is_absent(file) || sha256_file(file) == sha256) continue;
    context_.log(fmt::format("{} was another file, which is kept as {}", file.string(),
                             set_aside(file, "before").string()));
  }
  write(trained_.folder, trainer);
  context_.log(fmt::format("model: {}", (trained_.folder / result.file).string()));
  return result;
}

}  // namespace tarflow::experiments
