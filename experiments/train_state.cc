#include "experiments/train_state.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "experiments/worker/environment.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr const char *kRow = "state/row", *kVar = "state/var", *kMean = "state/mean",
                     *kSquare = "state/square", *kAverage = "state/average",
                     *kNumbers = "state/numbers", *kSurroundings = "surroundings";

// What decides the numbers of a training but for their last bits.
Json identity_of(const JobContext& context, ComputeType compute) {
  Json keys = Json::array();
  for (const job::JobPoint& point : context.job().points) keys.push_back(point.key);
  return {{"format", 1},
          {"job", context.job().hash},
          {"generation", context.job().generation},
          {"points", std::move(keys)},
          {"experiment", context.schema().name},
          {"revision", context.schema().revision},
          {"compute", to_string(compute)}};
}

// What may change their last bits.
Json surroundings_of(const JobContext& context) {
  Json surroundings = build_identity();
  surroundings.update({{"device", device_name(context.device())},
                       {"threads", at::get_num_threads()},
                       {"ranks", context.comm().size()}});
  return surroundings;
}

record::Array text_array(const char* path, const std::string& text) {
  record::Array array;
  array.path = path;
  array.type = record::ArrayType::kString;
  array.strings = {text};
  return array;
}

}  // namespace

TrainState::TrainState(JobContext& context, ComputeType compute)
    : context_(context),
      file_(context, identity_of(context, compute)),
      surroundings_(surroundings_of(context)) {}

std::optional<training::State> TrainState::read(const training::Recipe& recipe,
                                                TrainHistory& history) {
  dist::Communicator& comm = context_.comm();
  if (comm.size() == 1) return read_here(recipe, history);
  std::optional<training::State> state;
  if (comm.first()) state = read_here(recipe, history);
  comm.barrier();  // rank 0 sets a damaged file aside
  if (!comm.first()) state = read_here(recipe, history);
  const std::vector<std::string> steps =
      comm.gather(std::to_string(state ? state->steps : int64_t{-1}));
  const bool same = std::all_of(steps.begin(), steps.end(),
                                [&](const std::string& one) { return one == steps.front(); });
  if (!comm.any(!same)) return state;
  throw Error("the ranks do not see the same partial.h5",
              "its folder must be the same for all hosts; run the same command again when the "
              "network's file system has settled");
}

std::optional<training::State> TrainState::read_here(const training::Recipe& recipe,
                                                     TrainHistory& history) {
  const std::optional<ArrayMap> arrays = file_.read();
  if (!arrays) return std::nullopt;
  training::State state;
  state.row = arrays->tensor(kRow);
  state.var = arrays->tensor(kVar);
  state.optimizer.mean = arrays->tensor(kMean);
  state.optimizer.square = arrays->tensor(kSquare);
  if (recipe.ema > 0) state.average = arrays->tensor(kAverage);
  const at::Tensor numbers = arrays->tensor(kNumbers);
  if (numbers.numel() != 3) throw Error("the state of the training is not whole");
  state.steps = numbers[0].item<int64_t>();
  state.skipped = numbers[1].item<int64_t>();
  state.optimizer.updates = numbers[2].item<int64_t>();
  history.restore(*arrays);
  if (history.steps() != state.steps) throw Error("the state of the training is not whole");
  const Json before = Json::parse(arrays->text(kSurroundings));
  std::vector<std::string> differing;
  for (const auto& [key, value] : surroundings_.items()) {
    if (before.value(key, Json()) != value) differing.push_back(key);
  }
  context_.log(fmt::format("going on at step {}", state.steps));
  if (!differing.empty()) {
    context_.add_status(0, fmt::format("continued with another {}: last bits may differ",
                                       fmt::join(differing, ", ")));
  }
  return state;
}

void TrainState::write(const training::State& state, const TrainHistory& history, bool now) {
  if (!context_.comm().first()) return;
  const size_t bytes = state.row.nbytes() * (state.average.defined() ? 4 : 3);
  if (!now && !file_.due(bytes)) return;
  std::vector<record::Array> arrays = history.state();
  const auto add = [&](const char* path, const at::Tensor& tensor) {
    arrays.push_back(to_array(path, tensor, "", ""));
  };
  add(kRow, state.row);
  add(kVar, state.var);
  add(kMean, state.optimizer.mean);
  add(kSquare, state.optimizer.square);
  if (state.average.defined()) add(kAverage, state.average);
  add(kNumbers, at::tensor({state.steps, state.skipped, state.optimizer.updates}, at::kLong));
  arrays.push_back(text_array(kSurroundings, canonical(surroundings_)));
  file_.write(std::move(arrays));
}

}  // namespace tarflow::experiments
