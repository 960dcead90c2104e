#include "experiments/evaluate_settings.h"

#include "framework/core/image_settings.h"

namespace tarflow::experiments {
namespace {

void bind_features(Binder& binder, EvaluateSettings& settings) {
  binder.integer(
      settings.kept_features,
      {.name = "kept_features",
       .description =
           "Samples whose features are kept in memory for KID, precision and recall: the first "
           "ones. 0: none, and these are not measured.",
       .minimum = 0});
  binder.integer(
      settings.kid_subset_size,
      {.name = "kid_subset_size",
       .description =
           "Samples in each of the 100 subsets that KID is a mean over; without as many samples "
           "and reference images there is no KID. Another size is another number.",
       .minimum = 2});
}

}  // namespace

void EvaluateSettings::bind(Binder& binder) {
  SamplingSettings::bind(binder);
  bind_self_denoising(binder, self_denoising_lr);
  bind_extractor(binder, extractor, /*required=*/false, /*shared=*/true);
  bind_extractor_precision(binder, extractor_precision);
  binder.path(
      reference,
      {.name = "reference",
       .description =
           "What samples are compared with: real images (a folder or .npz batches), a file of "
           "fid_stats, a *_fid_stats.pth, or an .npz with mu and sigma. Without it and an "
           "extractor no "
           "distance is measured.",
       .example = "assets/cifar10",
       .identity = Identity::kContent,
       .shared = true,
       .file = FileKind::kReference});
  bind_layout(binder, layout, kLayout, "reference");
  bind_features(binder, *this);
  binder.integer(warmup_images,
                 {.name = "warmup_images",
                  .description = "Images sampled before timing starts, in whole chunks; 0: "
                                 "none.",
                  .minimum = 0,
                  .identity = Identity::kNone});
}

}  // namespace tarflow::experiments
