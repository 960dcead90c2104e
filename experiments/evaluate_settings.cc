#include "experiments/evaluate_settings.h"

#include "experiments/worker/saved_images.h"
#include "framework/core/image_settings.h"

namespace tarflow::experiments {
namespace {

void bind_features(Binder& binder, EvaluateSettings& settings) {
  binder.integer(settings.kept_features,
                 {.name = "kept_features",
                  .description = "How many samples keep their features in memory for KID, "
                                 "precision and recall. 0: none of these are measured.",
                  .minimum = 0});
  binder.integer(settings.kid_subset_size,
                 {.name = "kid_subset_size",
                  .description = "Size of each of the 100 subsets of KID. KID needs as many "
                                 "samples and reference images, and depends on the size.",
                  .minimum = 2});
}

}  // namespace

void EvaluateSettings::bind(Binder& binder) {
  SamplingSettings::bind(binder);
  bind_self_denoising(binder, self_denoising_lr);
  bind_extractor(binder, extractor, /*required=*/false, /*shared=*/true);
  bind_extractor_precision(binder, extractor_precision);
  binder.path(reference,
              {.name = "reference",
               .description = "The samples are compared with this: real images (a folder or .npz "
                              "batches), a file of fid_stats, a *_fid_stats.pth, or an .npz with "
                              "mu and sigma. A distance needs reference and extractor.",
               .example = "assets/cifar10",
               .identity = Identity::kContent,
               .shared = true,
               .file = FileKind::kReference});
  bind_layout(binder, layout, kLayout, "reference");
  bind_features(binder, *this);
  binder.integer(warmup_images,
                 {.name = "warmup_images",
                  .description = "Images sampled before timing starts, in whole chunks. 0: none.",
                  .minimum = 0,
                  .identity = Identity::kNone});
  bind_save_images(binder, save_images);
}

}  // namespace tarflow::experiments
