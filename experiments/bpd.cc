// The density of real images under a model: bits per dimension of models trained with uniform
// dequantisation, and nats a dimension of noisy images for those trained with Gaussian noise
// (method.md section 5).
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/worker/folder_batches.h"
#include "experiments/worker/nonfinite.h"
#include "experiments/worker/registry.h"
#include "framework/core/error.h"
#include "framework/core/image_settings.h"
#include "framework/core/model_filename.h"
#include "framework/metrics/likelihood.h"
#include "framework/tensor/device.h"
#include "framework/tensor/noise.h"

namespace tarflow::experiments {
namespace {

constexpr size_t kKeptValues = 100000;  // of single images, in the record

struct Settings {
  std::string model;
  std::string images, layout;
  int64_t num_images = 0;
  std::string labels = "none";
  std::string dequantisation = "auto";
  int64_t draws = 1;
  int64_t seed = 0;
  int64_t batch = 64;
  int64_t max_unreadable = 0;
  std::string device = "auto";
  std::string compute_type = "float32";
  std::string nonfinite = "fail";

  void bind(Binder& binder) {
    binder.model(model, {.name = "model",
                         .description = "A name under `models:`.",
                         .required = true,
                         .example = "afhq"});
    binder.path(images, {.name = "images",
                         .description = "Real images: a folder or .npz batches. They are resized "
                                        "and cropped to the size of the model.",
                         .required = true,
                         .example = "data/afhq",
                         .identity = Identity::kContent,
                         .file = FileKind::kImages});
    bind_layout(binder, layout, kLayout, "images");
    binder.integer(num_images, {.name = "num_images",
                                .description = "Images used, balanced over classes; 0: all.",
                                .minimum = 0});
    bind_labels(binder, labels);
    binder.choice(
        dequantisation,
        {.name = "dequantisation",
         .description =
             "The noise of the model's training, which is added to the images. gaussian: with the "
             "model's noise_std; gives the density of noisy images in nats. uniform: within each "
             "of the 256 levels; gives bits per dimension. auto: uniform if the checkpoint's name "
             "ends with _uniform, gaussian if noise_std is known.",
         .choices = {"auto", "gaussian", "uniform"}});
    binder.integer(draws, {.name = "draws",
                           .description = "Independent draws of the noise per image, averaged.",
                           .minimum = 1,
                           .maximum = static_cast<double>(kMaxDraws)});
    binder.integer(seed, {.name = "seed",
                          .description = "Key of the counter-based noise. Image i has the same "
                                         "noise for any batch, order or device.",
                          .minimum = 0});
    bind_batch(binder, batch);
    bind_max_unreadable(binder, max_unreadable);
    bind_device(binder, device, compute_type);
    bind_nonfinite(binder, nonfinite);
  }
};

// Whether the checkpoint's name says that the noise of training was uniform.
bool named_uniform(const JobContext& context) {
  if (context.job().model.is_null()) return false;
  const auto name =
      parse_model_filename(context.job().model.get().value("checkpoint", std::string()));
  return name && name->uniform;
}

// The kind of noise, "gaussian" or "uniform". A checkpoint does not tell how it was trained; that
// its noise level is known says that there was one.
std::string noise_kind(JobContext& context, const Settings& settings, const Model& model) {
  const double level = model.shape.noise_std;
  if (settings.dequantisation == "uniform") {
    if (level > 0) {
      context.log(fmt::format(
          "note: taken as trained with uniform dequantisation, because the sweep says so; its "
          "noise_std {} is not used. Of a model trained with Gaussian noise this is no bits per "
          "dimension",
          level));
    }
    return "uniform";
  }
  if (level > 0) return "gaussian";
  if (settings.dequantisation == "auto" && named_uniform(context)) return "uniform";
  throw Error(
      settings.dequantisation == "gaussian"
          ? "`dequantisation: gaussian` needs the model's noise level, which its file does not hold"
          : "it is not known which noise the model was trained with: its noise_std is 0",
      "state `noise_std` under the model if it was trained with Gaussian noise, or "
      "`dequantisation: uniform` if it was trained with uniform noise in each of the 256 levels");
}

class Density {
 public:
  Density(JobContext& context, const Settings& settings, const Model& model)
      : settings_(settings),
        model_(model),
        kind_(noise_kind(context, settings, model)),
        logdets_(model.blocks.size()) {}

  // Of the images of one batch: "nats" (n), "logdets" (n, K) and "indices" (n).
  Piece measured(const ImageBatch& batch) const {
    at::Tensor nats, logdets;
    for (int64_t draw = 0; draw < settings_.draws; ++draw) {
      const metrics::Likelihood one = metrics::likelihood(model_, noisy(batch, draw), batch.labels);
      nats = draw == 0 ? one.nats : nats + one.nats;
      logdets = draw == 0 ? one.logdets : logdets + one.logdets;
    }
    const double draws = static_cast<double>(settings_.draws);
    return {{"nats", (nats / draws).cpu()},
            {"logdets", (logdets / draws).cpu()},
            {"indices", at::tensor(batch.indices, at::kLong)}};
  }

  void add(const Piece& piece) {
    const at::Tensor nats = piece.at("nats").contiguous(),
                     logdets = piece.at("logdets").contiguous(),
                     indices = piece.at("indices").contiguous();
    for (size_t i = 0; i < static_cast<size_t>(nats.numel()); ++i) {
      const double value = nats.const_data_ptr<double>()[i];
      const double* row = logdets.const_data_ptr<double>() + i * logdets_.size();
      if (!finite(value, row)) {
        refuse_nonfinite(settings_.nonfinite,
                         fmt::format("image {}", indices.const_data_ptr<int64_t>()[i]),
                         "in its density (counted among the chosen images)");
        ++nonfinite_;
        continue;
      }
      total_.add(value);
      if (kept_.size() < kKeptValues) kept_.push_back(value);
      for (size_t b = 0; b < logdets_.size(); ++b) logdets_[b].add(row[b]);
    }
  }

  void report(JobContext& context) const {
    LeftOut left_out(context.point_count());
    for (size_t i = 0; i < context.point_count(); ++i)
      left_out.add(i, nonfinite_, total_.count() + nonfinite_);
    if (total_.count() + nonfinite_ == 0) throw Error("no image could be read");
    left_out.report(context);
    context.set_all("images_used", total_.count());
    const double nats = total_.mean(), error = total_.standard_error();
    context.set_all("noise_kind", kind_);
    if (kind_ == "uniform") {
      const double bits = metrics::bits_per_dimension(nats);
      context.set_all("bits_per_dimension", bits);
      if (total_.count() > 1) context.set_all("bits_standard_error", error / std::log(2.0));
      context.log(fmt::format("{:.6g} bits per dimension on {} images", bits, total_.count()));
    } else {
      context.set_all("noise_std", model_.shape.noise_std);
      context.set_all("noisy_nats_per_dimension", nats);
      context.set_all("noisy_nats_of_levels", metrics::nats_of_levels(nats));
      if (total_.count() > 1) context.set_all("noisy_nats_standard_error", error);
      context.log(fmt::format(
          "{:.6g} nats a dimension of noisy images in [-1, 1] (noise {}) on {} images; with "
          "ln 128, of levels, {:.6g}",
          nats, model_.shape.noise_std, total_.count(), metrics::nats_of_levels(nats)));
    }
    std::vector<double> logdets;
    for (const metrics::RunningMean& block : logdets_) logdets.push_back(block.mean());
    context.add("likelihood/nats", {}, array_values(kept_));
    context.add("likelihood/logdet", {}, array_values(logdets));
  }

 private:
  at::Tensor noisy(const ImageBatch& batch, int64_t draw) const {
    const bool uniform = kind_ == "uniform";
    const at::Tensor noise = image_noise(uniform ? ImageNoise::kUniform : ImageNoise::kNormal,
                                         static_cast<uint64_t>(settings_.seed), batch.indices, draw,
                                         batch.images[0].numel())
                                 .view(batch.images.sizes())
                                 .to(batch.images.device());
    return uniform ? metrics::dequantised(batch.images, noise)
                   : batch.images + noise * model_.shape.noise_std;
  }

  bool finite(double value, const double* logdets) const {
    return std::isfinite(value) && std::all_of(logdets, logdets + logdets_.size(),
                                               [](double one) { return std::isfinite(one); });
  }

  const Settings& settings_;
  const Model& model_;
  const std::string kind_;
  metrics::RunningMean total_;
  std::vector<metrics::RunningMean> logdets_;  // by block
  std::vector<double> kept_;
  int64_t nonfinite_ = 0;
};

void run(JobContext& context) {
  const Settings settings = read_settings<Settings>(context.settings());
  const at::Device device = context.device();
  const Model model = context.load_model(device, compute_type_from(settings.compute_type, device));
  Density density(context, settings, model);
  const FolderBatches wanted{.folder = settings.images,
                             .layout = settings.layout,
                             .num_images = settings.num_images,
                             .labels = settings.labels,
                             .batch = settings.batch,
                             .max_unreadable = settings.max_unreadable};
  const FolderCount count = for_each_batch(
      context, wanted, model, [&](const ImageBatch& batch) { return density.measured(batch); },
      [&](const Piece& piece) { density.add(piece); });
  if (!context.comm().first()) return;
  density.report(context);
  context.set_all("unreadable_images", count.unreadable);
  context.set_all("smoke", int64_t{!context.job().smoke.is_null()});
  context.set_all("device", device_name(device));
  context.set_all("compute", to_string(model.compute));
}

std::vector<Column> columns() {
  return {
      {"bits_per_dimension", ColumnType::kFloat64, "bit",
       "uniform noise only: (mean(0.5 z^2 + 0.5 ln 2 pi) + ln 128 - logdet) / ln 2, a mean over "
       "images"},
      {"bits_standard_error", ColumnType::kFloat64, "bit", "of that mean, over images"},
      {"noisy_nats_per_dimension", ColumnType::kFloat64, "nat",
       "Gaussian noise only: mean(0.5 z^2 + 0.5 ln 2 pi) - logdet of x + noise_std noise, -ln of "
       "the "
       "density of noisy images over [-1, 1]; a mean over images, and no bits per dimension"},
      {"noisy_nats_of_levels", ColumnType::kFloat64, "nat",
       "the same and ln 128: the density over the 256 levels, the scale of bits_per_dimension"},
      {"noisy_nats_standard_error", ColumnType::kFloat64, "nat", "of both means, over images"},
      {"noise_kind", ColumnType::kString, "", "what was added to the images: gaussian or uniform"},
      {"noise_std", ColumnType::kFloat64, "", "level of the Gaussian noise, images in [-1, 1]"},
      {"images_used", ColumnType::kInt64, "", "images that were read and used"},
      {"unreadable_images", ColumnType::kInt64, "",
       "image files left out because they could not be read"},
      nonfinite_column(),
      {"smoke", ColumnType::kInt64, "",
       "1: a trial run with few images, perhaps with an untrained model"},
      {"compute", ColumnType::kString, "", "compute type the job ran in"}};
}

std::vector<ArrayInfo> arrays() {
  return {
      {"likelihood/nats",
       ElementType::kFloat64,
       {"image"},
       "nat",
       "mean(0.5 z^2 + 0.5 ln 2 pi) - logdet of each image, a mean over draws, without ln 128; of "
       "the first 100,000 images used"},
      {"likelihood/logdet",
       ElementType::kFloat64,
       {"block in checkpoint order"},
       "nat",
       "contribution of the block to logdet per dimension, mean over images"}};
}

const bool registered = register_experiment<Settings>(
    {.name = "bpd",
     .description = "Bits per dimension of real images. For models trained with Gaussian noise: "
                    "the density of noisy images in nats.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = columns(),
     .arrays = arrays(),
     .work = Work::kForward,
     .ranks = true},
    run);

}  // namespace
}  // namespace tarflow::experiments
