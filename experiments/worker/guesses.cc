#include "experiments/worker/guesses.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "experiments/worker/kept.h"
#include "experiments/worker/nonfinite.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/image_settings.h"
#include "framework/dist/pack.h"
#include "framework/images/folder.h"
#include "framework/record/dataset_file.h"

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNorm = "2";
constexpr const char* kNonfinite = "nonfinite_images";  // attribute; older files lack it: none
constexpr int64_t kBatch = 64;                          // images run at once; changes nothing

// Raised when the metrics become others, or what they are kept by. 2: the device joined.
constexpr int kVersion = 2;
constexpr const char* kFile = "guesses-";

KeptFile kept_file(JobContext& context, const std::string& images_content, int64_t num_images,
                   const Model& model) {
  Json identity = kept_identity(context, model, kVersion);
  identity.update({{"images", images_content}, {"num_images", num_images}, {"norm", kNorm}});
  return {context, kFile, identity};
}

GuessMetrics read_metrics(const fs::path& file, size_t blocks) {
  GuessMetrics metrics{record::to_doubles(record::read_dataset(file, "igm_z")),
                       record::to_doubles(record::read_dataset(file, "igm_zero"))};
  if (metrics.igm_z.size() != blocks || metrics.igm_zero.size() != blocks)
    throw Error("it is of another number of blocks");
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(metrics.igm_z, finite) || !std::ranges::all_of(metrics.igm_zero, finite))
    throw Error("it holds values that are not finite");
  if (const std::string count = record::read_root_attribute(file, kNonfinite); !count.empty())
    metrics.nonfinite = std::stoll(count);
  return metrics;
}

void write(const KeptFile& file, const GuessMetrics& metrics) {
  const int64_t blocks = static_cast<int64_t>(metrics.igm_z.size());
  file.write(
      "the initial guessing metrics",
      {record::make_array("igm_z", {blocks}, metrics.igm_z, "", "IGM of the guess z, by block"),
       record::make_array("igm_zero", {blocks}, metrics.igm_zero, "",
                          "IGM of the guess 0, by block")},
      {{kNonfinite, std::to_string(metrics.nonfinite)}});
}

// On rank 0, with the help of the others.
GuessMetrics measured(JobContext& context, const GuessSettings& settings, const Model& model) {
  metrics::IgmCrm sums(model);
  const FolderBatches wanted{.folder = settings.images,
                             .layout = settings.layout,
                             .num_images = settings.num_images,
                             .batch = kBatch,
                             .phase = "guesses",
                             .nonfinite = settings.nonfinite};
  GuessMetrics metrics;
  metrics.nonfinite = add_folder(context, wanted, model, sums).nonfinite;
  if (!context.comm().first()) return metrics;
  for (const metrics::BlockMetrics& block : sums.result(metrics::matrix_norm_from(kNorm))) {
    metrics.igm_z.push_back(block.igm_z);
    metrics.igm_zero.push_back(block.igm_zero);
  }
  return metrics;
}

std::string images_content(const JobContext& context, const GuessSettings& settings) {
  const Json& contents = context.job().contents.get();
  return contents.contains(kGuessImages)
             ? contents.at(kGuessImages).get<std::string>()
             : images::folder_content_hash(settings.images, images::layout_from(settings.layout));
}

// Those of rank 0, on all ranks.
GuessMetrics shared(dist::Communicator& comm, const GuessMetrics& metrics) {
  const dist::Tensors all = dist::unpack(
      comm.broadcast(dist::pack({{"igm_z", at::tensor(metrics.igm_z, at::kDouble)},
                                 {"igm_zero", at::tensor(metrics.igm_zero, at::kDouble)},
                                 {kNonfinite, at::full({}, metrics.nonfinite, at::kLong)}})));
  const auto values = [&](const char* name) {
    const at::Tensor& tensor = all.at(name);
    const double* first = tensor.const_data_ptr<double>();
    return std::vector<double>(first, first + tensor.numel());
  };
  return {values("igm_z"), values("igm_zero"), all.at(kNonfinite).item<int64_t>()};
}

// In sampling order: the guess of each block, "none" where it is sequential.
std::vector<std::string> guess_names(const Strategy& strategy) {
  std::vector<std::string> names;
  for (const BlockPlan& plan : strategy.blocks) {
    const Guess* const guess = guess_of(plan);
    names.push_back(guess ? to_string(*guess) : "none");
  }
  return names;
}

// What was chosen for one strategy and why, in the log.
void log_choice(JobContext& context, const Strategy& open, const GuessSettings& settings,
                const GuessMetrics& metrics) {
  std::vector<std::string> reasons;
  for (size_t b = open.blocks.size(); b-- > 0;) {
    const Guess* const before = guess_of(open.block(static_cast<int>(b)));
    if (!before || *before != Guess::kAuto) continue;
    reasons.push_back(fmt::format(
        "block {} {} ({:.4g} {} {:.4g})", b, to_string(metrics.guess(b)), metrics.igm_z[b],
        metrics.igm_z[b] <= metrics.igm_zero[b] ? "<=" : ">", metrics.igm_zero[b]));
  }
  context.log(fmt::format(
      "guess auto, IGM z against IGM zero on {} of {}: {}",
      settings.num_images == 0 ? "all images" : fmt::format("{} images", settings.num_images),
      settings.images, fmt::join(reasons, ", ")));
}

void require_choice(const Strategy& strategy, const GuessSettings& settings, const Model& model) {
  if (settings.images.empty()) {
    throw Error("a strategy says `guess: auto`, but no images are named to choose by",
                fmt::format("state `{}`, a folder of real images", kGuessImages));
  }
  if (strategy.blocks.size() != model.blocks.size()) {
    throw Error(fmt::format("strategy {} states {} blocks, the model has {}", strategy.name,
                            strategy.blocks.size(), model.blocks.size()));
  }
}

Strategy with_guesses(Strategy strategy, const GuessMetrics& metrics) {
  const size_t count = strategy.blocks.size();
  for (size_t b = 0; b < count; ++b) {
    Guess* const guess = guess_of(strategy.blocks[count - 1 - b]);
    if (guess && *guess == Guess::kAuto) *guess = metrics.guess(b);
  }
  return strategy;
}

// Of one batch: "sums" over its finite images, their "count", and how many are left out.
Piece finite_sums(const ImageBatch& batch, const std::string& choice,
                  const metrics::IgmCrm& metrics) {
  at::Tensor sums = metrics.sums_of(batch.images, batch.labels);
  int64_t left_out = 0;
  if (!sums.isfinite().all().item<bool>()) {
    const at::Tensor finite = metrics.finite_images(batch.images, batch.labels);
    left_out = count_false(finite);
    refuse_nonfinite(choice, names_of_false(finite, batch.indices),
                     "in the blocks of the model (counted among the chosen images)");
    Labels labels;
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      if (finite[static_cast<int64_t>(i)].item<bool>()) labels.push_back(batch.labels[i]);
    }
    sums = left_out == batch.images.size(0)
               ? at::zeros_like(sums)
               : metrics.sums_of(rows_where(batch.images, finite), labels);
  }
  return {{"sums", sums},
          {"count", at::full({}, batch.images.size(0) - left_out, at::kLong)},
          {kNonfinite, at::full({}, left_out, at::kLong)}};
}

}  // namespace

void GuessSettings::bind(Binder& binder) {
  binder.path(
      images,
      {.name = kGuessImages,
       .description =
           "Real images for `guess: auto`: a folder or .npz batches, as `images` of igm_crm.",
       .example = "data/afhq",
       .identity = Identity::kContent,
       .file = FileKind::kImages});
  bind_layout(binder, layout, kGuessLayout, kGuessImages);
  binder.integer(num_images,
                 {.name = kGuessNumImages,
                  .description = "Images for `guess: auto`, balanced over classes. 0: all.",
                  .minimum = 0});
}

Guess GuessMetrics::guess(size_t block) const {
  return igm_z.at(block) <= igm_zero.at(block) ? Guess::kZ : Guess::kZero;
}

FolderCount add_folder(JobContext& context, const FolderBatches& wanted, const Model& model,
                       metrics::IgmCrm& sums) {
  int64_t nonfinite = 0;
  FolderCount count = for_each_batch(
      context, wanted, model,
      [&](const ImageBatch& batch) { return finite_sums(batch, wanted.nonfinite, sums); },
      [&](const Piece& piece) {
        nonfinite += piece.at(kNonfinite).item<int64_t>();
        sums.add_sums(piece.at("sums"), piece.at("count").item<int64_t>());
      });
  count.used -= nonfinite;
  count.nonfinite = nonfinite;
  if (nonfinite > 0 && count.used == 0) {
    throw Error(fmt::format("no IGM or CRM: for none of {} images are the model's blocks finite",
                            nonfinite),
                "compute_type: float32 has the widest range there is");
  }
  return count;
}

GuessMetrics measure_guesses(JobContext& context, const GuessSettings& settings,
                             const Model& model) {
  dist::Communicator& comm = context.comm();
  std::optional<GuessMetrics> metrics;
  std::optional<KeptFile> file;
  if (comm.first()) {
    file.emplace(kept_file(context, images_content(context, settings), settings.num_images, model));
    metrics =
        file->read([&](const fs::path& path) { return read_metrics(path, model.blocks.size()); });
  }
  // Rank 0 alone looks at the cache, so that all ranks do the same whoever else writes to it.
  if (comm.broadcast(metrics ? "kept" : "to be measured") == "kept") {
    context.inputs().not_needed(settings.images);
  } else {
    metrics = measured(context, settings, model);
    if (file) write(*file, *metrics);
  }
  GuessMetrics all = shared(comm, metrics.value_or(GuessMetrics{}));
  // What is kept may be of a job that excluded them.
  if (all.nonfinite > 0) {
    refuse_nonfinite(settings.nonfinite,
                     fmt::format("{} images of {}", all.nonfinite, settings.images),
                     "in the blocks of the model, so `guess: auto` cannot choose by all");
  }
  return all;
}

void keep_guesses(JobContext& context, const std::string& images_content, int64_t num_images,
                  const Model& model, const GuessMetrics& metrics) {
  const KeptFile file = kept_file(context, images_content, num_images, model);
  if (!file.exists()) write(file, metrics);
}

std::vector<Strategy> chosen_strategies(JobContext& context, std::vector<Strategy> strategies,
                                        const GuessSettings& settings, const Model& model) {
  std::optional<GuessMetrics> metrics;
  Strategy logged;
  for (size_t i = 0; i < strategies.size(); ++i) {
    const Strategy open = strategies[i];
    if (!open.has_open_guess()) continue;
    require_choice(open, settings, model);
    if (!metrics) {
      context.prepares();
      metrics = measure_guesses(context, settings, model);
      context.work_begins();
      context.add("guess/igm_z", {}, array_values(metrics->igm_z));
      context.add("guess/igm_zero", {}, array_values(metrics->igm_zero));
    }
    strategies[i] = with_guesses(open, *metrics);
    if (open != logged) log_choice(context, open, settings, *metrics);
    logged = open;
    if (i >= context.point_count()) continue;
    context.set(i, guess_column().name, canonical(Json(guess_names(strategies[i]))));
    if (metrics->nonfinite > 0) {
      context.add_status(i, fmt::format("the guesses are chosen without {} real images that are "
                                        "not finite in the model",
                                        metrics->nonfinite));
    }
  }
  return strategies;
}

Strategy chosen_strategy(JobContext& context, const Strategy& strategy,
                         const GuessSettings& settings, const Model& model) {
  return chosen_strategies(context, std::vector<Strategy>(context.point_count(), strategy),
                           settings, model)
      .front();
}

std::vector<ArrayInfo> guess_arrays_and(std::vector<ArrayInfo> others) {
  const std::vector<std::string> axes = {"block in checkpoint order"};
  std::vector<ArrayInfo> arrays = {
      {"guess/igm_z", ElementType::kFloat64, axes, "",
       "initial guessing metric of the guess z, norm 2; only with guess: auto"},
      {"guess/igm_zero", ElementType::kFloat64, axes, "",
       "initial guessing metric of the guess 0, norm 2; only with guess: auto"}};
  std::move(others.begin(), others.end(), std::back_inserter(arrays));
  return arrays;
}

Column guess_column() {
  return {
      "chosen_guesses", ColumnType::kString, "",
      "where the strategy says guess: auto, the guess of each block in sampling order: z, zero, "
      "or none where it is sequential"};
}

}  // namespace tarflow::experiments
