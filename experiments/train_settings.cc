#include "experiments/train_settings.h"

#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/core/image_settings.h"
#include "framework/core/trained.h"

namespace tarflow::experiments {

void TrainSettings::bind(Binder& binder) {
  bind_model(binder);
  bind_kind(binder);
  bind_images(binder);
  bind_steps(binder);
  bind_optimizer(binder);
  bind_files(binder);
  bind_looks(binder);
  bind_distance(binder);
  bind_device(binder, device, compute_type);
  binder.choice(
      kernels,
      {.name = "kernels",
       .description =
           "What computes the layers of a step. composed: one operator of LibTorch after "
           "another. fused: one pass over memory each way for what stands between two matrix "
           "products, which moves less through a GPU's memory. Roundings are in the "
           "same places; on a GPU the last bits differ.",
       .choices = {"composed", "fused"}});
}

void TrainSettings::bind_model(Binder& binder) {
  binder.text(name, {.name = "name",
                     .description = "What the model is called: its file is "
                                    "NAME_model_P_C_K_L_EPS.pth, and `trained_by: NAME` under "
                                    "`models:` is the model.",
                     .required = true,
                     .example = "afhq"});
  const auto side = [&](int64_t& value, const char* key, const char* description, bool required,
                        double minimum, int64_t example) {
    binder.integer(value, {.name = key,
                           .description = description,
                           .required = required,
                           .minimum = minimum,
                           .maximum = 8192,
                           .example = example});
  };
  binder.integer(image_size, {.name = "image_size",
                              .description = "Side H = W of the images; they are resized (the "
                                             "shorter side) and cropped to it.",
                              .unit = "pixels",
                              .required = true,
                              .minimum = 1,
                              .maximum = 4096,
                              .example = 256});
  side(patch_size, "patch_size", "Side P of a patch, pixels; T = (H/P)^2 tokens.", true, 1, 8);
  side(channels, "channels", "Channels C, a multiple of 64.", true, 64, 768);
  side(blocks, "blocks", "Blocks K of the flow.", false, 1, 8);
  side(layers, "layers", "Attention layers L a block.", false, 1, 8);
  side(classes, "classes",
       "Classes of the images, each a folder of its own; 0: an unconditional model.", false, 0, 3);
}

void TrainSettings::bind_kind(Binder& binder) {
  binder.integer(colours, {.name = "colours",
                           .description = "3, or 1: images are made grey.",
                           .minimum = 1,
                           .maximum = 3,
                           .example = 1});
  binder.boolean(volume_preserving,
                 {.name = "volume_preserving",
                  .description = "Blocks shift and do not scale; the variance of the prior follows "
                                 "z^2, a tenth of the way after each step."});
}

void TrainSettings::bind_images(Binder& binder) {
  binder.path(images, {.name = "images",
                       .description = "Folder of images or .npz batches to train on.",
                       .required = true,
                       .example = "data/afhq",
                       .identity = Identity::kContent,
                       .file = FileKind::kImages});
  bind_layout(binder, layout, kLayout, "images`, `held_out` or `reference");
  binder.integer(num_images, {.name = "num_images",
                              .description = "Images used, balanced over classes; 0: all.",
                              .minimum = 0});
  bind_max_unreadable(binder, max_unreadable);
  binder.choice(noise,
                {.name = "noise",
                 .description = "Noise added to the images. gaussian: of `noise_std`, for samples. "
                                "uniform: within each of the 256 levels, for densities.",
                 .choices = {"gaussian", "uniform"}});
  binder.number(noise_std, {.name = "noise_std",
                            .description = "Level of the Gaussian noise, images in [-1, 1].",
                            .minimum = 0,
                            .maximum = 10,
                            .example = 0.07});
  binder.boolean(flips, {.name = "flips",
                         .description = "Mirror each image left to right with probability 1/2."});
  binder.number(drop_label,
                {.name = "drop_label",
                 .description = "Probability with which a label is dropped, so that the model "
                                "learns the unconditional pass of guidance as well.",
                 .minimum = 0,
                 .maximum = 1,
                 .example = 0.1});
  bind_seed(binder, seed);
}

void TrainSettings::bind_steps(Binder& binder) {
  binder.integer(batch, {.name = "batch",
                         .description = "Images of a step, of all ranks together.",
                         .minimum = 1,
                         .example = 256});
  binder.integer(accumulation,
                 {.name = "accumulation",
                  .description = "Parts into which each rank divides its images of a step, so that "
                                 "fewer are in memory at once.",
                  .minimum = 1});
  binder.integer(epochs, {.name = "epochs",
                          .description = "Passes over the images; state these or `steps`.",
                          .minimum = 0,
                          .example = 200});
  binder.integer(steps, {.name = "steps",
                         .description = "Steps of the training; state these or `epochs`.",
                         .minimum = 0,
                         .example = 50000});
}

void TrainSettings::bind_optimizer(Binder& binder) {
  const auto number = [&](double& value, const char* key, const char* description, double maximum,
                          double example) {
    binder.number(value, {.name = key,
                          .description = description,
                          .minimum = 0,
                          .maximum = maximum,
                          .example = example});
  };
  number(learning_rate, "learning_rate", "Learning rate after the warm-up.", 10, 1e-4);
  number(least_learning_rate, "least_learning_rate",
         "Learning rate of the first step, and where the cosine ends.", 10, 1e-6);
  binder.integer(warm_up_steps,
                 {.name = "warm_up_steps",
                  .description = "Steps in which the learning rate rises; -1: one epoch, as "
                                 "published. Half a cosine follows.",
                  .minimum = -1,
                  .example = 400});
  number(beta1, "beta1", "AdamW: decay of the mean of the gradient.", 0.999999, 0.9);
  number(beta2, "beta2", "AdamW: decay of the mean of its square.", 0.999999, 0.95);
  number(weight_decay, "weight_decay", "AdamW: decay of all parameters.", 10, 1e-4);
  number(clip, "clip", "Largest norm of the gradient; 0: any, as published.", 1e9, 1);
  number(
      ema, "ema",
      "Decay of a moving average of the weights that is kept beside them; 0: none, as published.",
      0.9999999, 0.9999);
  binder.integer(max_skipped_steps,
                 {.name = "max_skipped_steps",
                  .description = "Steps whose loss or gradient is not finite that are skipped "
                                 "before the job fails.",
                  .minimum = 0,
                  .identity = Identity::kNone});
}

void TrainSettings::bind_files(Binder& binder) {
  binder.text(output, {.name = "output",
                       .description =
                           "Also write the trained model into this folder, relative to the working "
                           "folder; models that are `trained_by` this training are read from it.",
                       .example = "models",
                       .identity = Identity::kNone});
  binder.integer(save_every, {.name = "save_every",
                              .description = "Steps after which the model is also saved in the "
                                             "job's folder; 0: only at the end.",
                              .minimum = 0,
                              .identity = Identity::kNone});
  binder.integer(keep, {.name = "keep",
                        .description = "Of the models that `save_every` saves the newest are kept; "
                                       "0: all.",
                        .minimum = 0,
                        .identity = Identity::kNone});
  binder.integer(
      profile_steps,
      {.name = "profile_steps",
       .description = "Of so many of the last steps the kernels are timed, one by one, "
                      "which slows these steps a little. Looks and files in between count "
                      "as well; 0: none.",
       .minimum = 0,
       .maximum = 1000,
       .identity = Identity::kNone});
}

void TrainSettings::bind_looks(Binder& binder) {
  binder.path(held_out, {.name = "held_out",
                         .description = "Folder of images that are not trained on: their loss is "
                                        "measured, without labels and flips.",
                         .example = "data/afhq_val",
                         .identity = Identity::kContent,
                         .file = FileKind::kImages});
  binder.integer(held_out_images,
                 {.name = "held_out_images",
                  .description = "Held-out images used, balanced over classes; 0: all.",
                  .minimum = 0});
  binder.integer(held_out_every,
                 {.name = "held_out_every",
                  .description = "Steps after which their loss is measured; 0: only at the end.",
                  .minimum = 0,
                  .identity = Identity::kNone});
  binder.integer(samples,
                 {.name = "samples",
                  .description = "Images that are sampled from fixed noise, into a picture "
                                 "and the record; 0: none.",
                  .minimum = 0,
                  .maximum = 1024,
                  .identity = Identity::kNone});
  binder.integer(samples_every,
                 {.name = "samples_every",
                  .description = "Steps after which they are sampled; 0: only at the end.",
                  .minimum = 0,
                  .identity = Identity::kNone});
  binder.number(
      samples_cfg,
      {.name = "samples_cfg", .description = "Guidance weight of these samples.", .minimum = 0});
}

void TrainSettings::bind_distance(Binder& binder) {
  bind_extractor(binder, extractor, /*required=*/false);
  bind_extractor_precision(binder, extractor_precision);
  binder.path(reference,
              {.name = "reference",
               .description =
                   "What samples are compared with: real images (a folder or .npz batches), a file "
                   "of fid_stats, a *_fid_stats.pth, or an .npz with mu and sigma. Without it and "
                   "an extractor no distance is measured.",
               .example = "data/afhq_stats.h5",
               .identity = Identity::kContent,
               .file = FileKind::kReference});
  binder.integer(distance_images, {.name = "distance_images",
                                   .description = "Samples of a distance.",
                                   .minimum = 2,
                                   .example = 5000});
  binder.integer(distance_every,
                 {.name = "distance_every",
                  .description = "Steps after which the distance is measured; 0: only at the end.",
                  .minimum = 0,
                  .identity = Identity::kNone});
}

ModelShape TrainSettings::shape() const {
  ModelShape shape;
  shape.image_size = static_cast<int>(image_size);
  shape.patch_size = static_cast<int>(patch_size);
  shape.channels = static_cast<int>(channels);
  shape.blocks = static_cast<int>(blocks);
  shape.layers = static_cast<int>(layers);
  shape.classes = static_cast<int>(classes);
  shape.noise_std = uniform() ? 0 : noise_std;
  shape.colours = static_cast<int>(colours);
  shape.volume_preserving = volume_preserving;
  return shape;
}

ComputeType TrainSettings::compute(const at::Device& device) const {
  if (compute_type == "auto" && uniform()) return ComputeType::kFloat32;
  return compute_type_from(compute_type, device);
}

training::LayerKernels TrainSettings::layer_kernels() const {
  return kernels == "fused" ? training::LayerKernels::kFused : training::LayerKernels::kComposed;
}

void TrainSettings::check() const {
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.') {
    throw Error(fmt::format("`name: {}` cannot be part of a file's name", name),
                "state one without `/` that does not begin with a dot");
  }
  if ((epochs > 0) == (steps > 0)) {
    throw Error(epochs > 0 ? "`epochs` and `steps` are both stated"
                           : "neither `epochs` nor `steps` is stated",
                "state one of them");
  }
  if (colours == 2) {
    throw Error("`colours: 2`: images have 3 colours, or 1 if grey", "state 3 or 1");
  }
  if (classes == 1) {
    throw Error("`classes: 1`: one class tells a model nothing",
                "state `classes: 0` for an unconditional model");
  }
  if (classes == 0 && drop_label > 0) {
    throw Error("`drop_label` with `classes: 0`: an unconditional model has no labels",
                "remove `drop_label`, or state the number of classes");
  }
  if (extractor.empty() != reference.empty()) {
    throw Error("a distance needs both `extractor` and `reference`", "state both, or neither");
  }
  if (least_learning_rate > learning_rate) {
    throw Error(fmt::format("`least_learning_rate` {} is above `learning_rate` {}",
                            least_learning_rate, learning_rate),
                "state a smaller one");
  }
}

StepPlan plan_steps(const TrainSettings& settings, int64_t images, int ranks) {
  if (images < settings.batch) {
    throw Error(fmt::format("`batch: {}` needs at least as many images, and there are {}",
                            settings.batch, images),
                "state a smaller `batch`, or more images");
  }
  const int64_t parts = ranks * settings.accumulation;
  if (settings.batch % parts != 0) {
    throw Error(
        fmt::format("a batch of {} images does not divide into {} equal parts ({} rank{} with "
                    "`accumulation: {}`)",
                    settings.batch, parts, ranks, ranks == 1 ? "" : "s", settings.accumulation),
        "state a `batch` that is a multiple of ranks times accumulation");
  }
  StepPlan plan;
  plan.steps_per_epoch = images / settings.batch;
  plan.steps = settings.steps > 0 ? settings.steps : settings.epochs * plan.steps_per_epoch;
  plan.part = settings.batch / parts;
  plan.schedule = {
      .largest = settings.learning_rate,
      .smallest = settings.least_learning_rate,
      .warm_up = settings.warm_up_steps < 0 ? plan.steps_per_epoch : settings.warm_up_steps,
      .steps = plan.steps};
  return plan;
}

}  // namespace tarflow::experiments
