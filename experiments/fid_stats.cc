// Feature statistics of real images, for evaluate's `reference` (method.md section 4).
#include <fmt/format.h>

#include "experiments/worker/nonfinite.h"
#include "experiments/worker/reference.h"
#include "experiments/worker/registry.h"
#include "framework/core/error.h"
#include "framework/core/image_settings.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings {
  std::string images, layout, extractor, output;
  std::string extractor_precision = "float32";
  int64_t image_size = 0;
  int64_t num_images = 0;
  int64_t max_unreadable = 0;
  bool flips = false;
  int64_t keep_features = kKeptFeatures;
  std::string device = "auto";
  std::string nonfinite = "fail";

  void bind(Binder& binder) {
    binder.path(images, {.name = "images",
                         .description = "Folder of real images or .npz batches.",
                         .required = true,
                         .example = "data/afhq",
                         .identity = Identity::kContent,
                         .file = FileKind::kImages});
    bind_extractor(binder, extractor, /*required=*/true);
    bind_extractor_precision(binder, extractor_precision);
    binder.integer(
        image_size,
        {.name = "image_size",
         .description = "Images are resized and cropped to this side before the extractor.",
         .unit = "pixels",
         .required = true,
         .minimum = 1,
         .maximum = 4096,
         .example = 256});
    bind_layout(binder, layout, kLayout, "images");
    binder.integer(num_images, {.name = "num_images",
                                .description = "Images used, balanced over classes; 0: all.",
                                .minimum = 0});
    bind_max_unreadable(binder, max_unreadable);
    binder.boolean(flips, {.name = "flips",
                           .description = "Also count the mirror image (left to right) of each "
                                          "image, for models trained with mirrored images."});
    binder.integer(keep_features,
                   {.name = "keep_features",
                    .description = "How many features of the first images are written with the "
                                   "statistics, for KID, precision and recall. 0: none.",
                    .minimum = 0,
                    .example = 0,
                    .identity = Identity::kNone});
    binder.text(output, {.name = "output",
                         .description = "Also write the statistics to this HDF5 file (relative to "
                                        "the working folder). `reference` of evaluate reads it.",
                         .example = "data/afhq_256_stats.h5",
                         .identity = Identity::kNone});
    binder.text(device, {.name = "device",
                         .description = "Where the job runs: auto, cpu, cuda or cuda:N.",
                         .identity = Identity::kNone});
    bind_nonfinite(binder, nonfinite);
  }
};

void run(JobContext& context) {
  const Settings settings = read_settings<Settings>(context.settings());
  const at::Device device = context.device();
  const metrics::Extractor extractor =
      load_extractor(context, settings.extractor,
                     metrics::precision_from(settings.extractor_precision), settings.image_size);
  const FolderImages wanted{.folder = settings.images,
                            .layout = settings.layout,
                            .image_size = static_cast<int>(settings.image_size),
                            .num_images = settings.num_images,
                            .max_unreadable = settings.max_unreadable,
                            .flips = settings.flips,
                            .keep_features = settings.output.empty() ? 0 : settings.keep_features,
                            .nonfinite = settings.nonfinite};
  const FolderStatistics statistics = folder_statistics(context, wanted, extractor);
  if (!context.comm().first()) return;
  const metrics::Gaussian& gaussian = statistics.gaussian;
  context.add("statistics/mu", {}, array_values(gaussian.mean));
  context.add("statistics/sigma", {}, array_values(gaussian.covariance));
  if (!settings.output.empty()) {
    write_statistics(settings.output, statistics, wanted, extractor);
    context.log(fmt::format("statistics written to {}", settings.output));
  }
  context.set_all("images_used", statistics.images);
  context.set_all("unreadable_images", statistics.unreadable);
  LeftOut left_out(context.point_count());
  for (size_t i = 0; i < context.point_count(); ++i)
    left_out.add(i, statistics.nonfinite, statistics.images + statistics.nonfinite);
  left_out.report(context);
  context.set_all("features", gaussian.mean.numel());
  context.set_all("extractor_sha256", extractor.sha256());
  context.set_all("distance_name", metrics::distance_name(extractor));
  context.set_all("device", device_name(device));
}

const bool registered = register_experiment<Settings>(
    {.name = "fid_stats",
     .description = "Mean and covariance of the features of real images.",
     .revision = 3,
     .timed = false,
     .fields = {},
     .columns = {{"images_used", ColumnType::kInt64, "", "images that were read and used"},
                 {"unreadable_images", ColumnType::kInt64, "",
                  "image files left out because they could not be read"},
                 nonfinite_column(),
                 {"features", ColumnType::kInt64, "", "width F of the features"},
                 {"extractor_sha256", ColumnType::kString, "",
                  "SHA-256 of the extractor's file: the weights that made the features"},
                 {"distance_name", ColumnType::kString, "",
                  "what a distance to these statistics is called"}},
     .arrays = {{"statistics/mu", ElementType::kFloat64, {"feature"}, "", "mean of the features"},
                {"statistics/sigma",
                 ElementType::kFloat64,
                 {"feature", "feature"},
                 "",
                 "unbiased covariance of the features"}},
     .work = Work::kFeatures,
     .ranks = true},
    run);

}  // namespace
}  // namespace tarflow::experiments
