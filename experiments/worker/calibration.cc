#include "experiments/worker/calibration.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "experiments/worker/kept.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/dist/pack.h"
#include "framework/record/dataset_file.h"

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSeconds = "seconds";
constexpr const char* kHash = "hash";
constexpr const char* kCalibration = "calibration";  // key of the environment

// The models of all blocks, one behind another: "J" (K, 4D, 2D), "j0", "up" and "left" (K, 2D) fp32
// and "clip" (K) float64.
dist::Tensors stacked(const Calibration& calibration) {
  std::vector<at::Tensor> j, j0, up, left;
  std::vector<double> clip;
  for (const LinearModel& block : calibration.blocks) {
    j.push_back(block.j);
    j0.push_back(block.j0);
    up.push_back(block.up);
    left.push_back(block.left);
    clip.push_back(block.clip);
  }
  dist::Tensors all = {
      {"J", at::stack(j)}, {"j0", at::stack(j0)}, {"up", at::stack(up)}, {"left", at::stack(left)}};
  for (auto& [name, tensor] : all) tensor = tensor.cpu().contiguous();
  all["clip"] = at::tensor(clip, at::kDouble);
  return all;
}

// The way back. Throws Error for tensors that are none of such a model.
Calibration unstacked(const dist::Tensors& all, const Model& model) {
  const auto blocks = static_cast<int64_t>(model.blocks.size());
  const int64_t width = model.shape.token_width();
  const auto part = [&](const char* name, at::IntArrayRef shape) {
    const at::Tensor& tensor = all.at(name);
    if (tensor.sizes() != shape || !tensor.isfinite().all().item<bool>())
      throw Error(fmt::format("its `{}` is not that of this model", name));
    return tensor;
  };
  const at::Tensor j = part("J", {blocks, 4 * width, 2 * width}),
                   j0 = part("j0", {blocks, 2 * width}), up = part("up", {blocks, 2 * width}),
                   left = part("left", {blocks, 2 * width}), clip = part("clip", {blocks});
  Calibration calibration;
  for (int64_t b = 0; b < blocks; ++b) {
    calibration.blocks.push_back({j[b].to(model.device, at::kFloat),
                                  j0[b].to(model.device, at::kFloat),
                                  up[b].to(model.device, at::kFloat),
                                  left[b].to(model.device, at::kFloat), clip[b].item<double>()});
  }
  return calibration;
}

std::string hash_of(const dist::Tensors& all) { return short_hash(dist::pack(all)); }

Json identity_of(const JobContext& context, const Model& model) {
  Json identity = kept_identity(context, model, kCalibrationVersion);
  identity["images"] = kCalibrationImages;
  return identity;
}

struct Made {
  dist::Tensors tensors;
  double seconds = 0;  // that it took when it was made
  bool kept = false;   // by an earlier job
};

// Throws Error for a file that holds no calibration of the model.
Made read_made(const fs::path& file, const Model& model) {
  Made made;
  for (const char* name : {"J", "j0", "up", "left", "clip"})
    made.tensors[name] = to_tensor(record::read_dataset(file, name));
  unstacked(made.tensors, model);
  if (hash_of(made.tensors) != record::read_root_attribute(file, kHash))
    throw Error("its content has changed");
  made.seconds = std::strtod(record::read_root_attribute(file, kSeconds).c_str(), nullptr);
  made.kept = true;
  return made;
}

void write(const KeptFile& file, const Made& made) {
  const std::map<std::string, const char*> meanings = {
      {"J", "matrix of the linear model, theta = n J + j0 + q, by block in checkpoint order"},
      {"j0", "its constant"},
      {"up", "weight of the residual of the token above"},
      {"left", "weight of the residual of the token before"},
      {"clip", "guesses are clipped to plus and minus this"}};
  std::vector<record::Array> arrays;
  for (const auto& [name, tensor] : made.tensors)
    arrays.push_back(to_array(name, tensor, "", meanings.at(name)));
  file.write("the calibration", arrays,
             {{kHash, hash_of(made.tensors)}, {kSeconds, fmt::to_string(made.seconds)}});
}

// Images at once: those whose longest evaluation, which is of all tokens, fits into memory.
int64_t images_at_once(JobContext& context, const Model& model, double memory_limit) {
  const Strategy widest{"", std::vector<BlockPlan>(model.blocks.size(), {Jacobi{{1}}})};
  return images_that_fit(model, kCalibrationImages, Guidance{}, widest,
                         batch_options(context, memory_limit, /*self_denoising=*/false));
}

Made measured(JobContext& context, const Model& model, double memory_limit) {
  const int64_t blocks = model.shape.blocks;
  const Stopwatch watch(model.device);
  const Calibration calibration = calibrate(
      model,
      [&](int block) {
        context.stop_if_requested();
        context.progress("calibration", blocks - 1 - block, blocks, 0, "blocks");
      },
      images_at_once(context, model, memory_limit));
  return {stacked(calibration), watch.seconds(), false};
}

// On rank 0. Throws Stopped.
Made read_or_made(JobContext& context, const Model& model, double memory_limit) {
  const KeptFile file(context, kCalibrationFile, identity_of(context, model));
  const auto kept = file.read([&](const fs::path& path) { return read_made(path, model); });
  if (kept) return *kept;
  context.log(fmt::format("calibrating the adaptive window: {} images, sampled sequentially",
                          kCalibrationImages));
  context.prepares();
  Made made = measured(context, model, memory_limit);
  context.work_begins();
  write(file, made);
  return made;
}

void report(JobContext& context, const Model& model, const Made& made) {
  const std::string compute = to_string(model.compute), hash = hash_of(made.tensors);
  context.log(fmt::format("calibration {} of the adaptive window, {}: {} in {:.3g} s", hash,
                          compute, made.kept ? "kept by an earlier job, made" : "made",
                          made.seconds));
  context.environment()[kCalibration][compute] = {{kHash, hash},
                                                  {"images", kCalibrationImages},
                                                  {kSeconds, made.seconds},
                                                  {"made_by_this_job", !made.kept}};
}

}  // namespace

std::shared_ptr<const Calibration> calibration_for(JobContext& context,
                                                   const std::vector<Strategy>& strategies,
                                                   const Model& model, double memory_limit) {
  const bool needed = std::any_of(strategies.begin(), strategies.end(),
                                  [](const Strategy& s) { return s.needs_calibration(); });
  return needed ? calibration_of(context, model, memory_limit) : nullptr;
}

std::shared_ptr<const Calibration> calibration_of(JobContext& context, const Model& model,
                                                  double memory_limit) {
  if (model.shape.tokens() < 2) return nullptr;  // nothing to guess
  const std::string bytes = made_by_first(context, [&] {
    const Made made = read_or_made(context, model, memory_limit);
    report(context, model, made);
    return dist::pack(made.tensors);
  });
  return std::make_shared<const Calibration>(unstacked(dist::unpack(bytes), model));
}

std::string calibration_hash(JobContext& context, const Model& model) {
  const Json& environment = context.environment();
  if (!environment.contains(kCalibration)) return "";
  return environment.at(kCalibration).at(to_string(model.compute)).at(kHash).get<std::string>();
}

}  // namespace tarflow::experiments
