// Initial guessing and convergence ranking metrics of each block from real images (method.md
// section 3).
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "experiments/worker/folder_batches.h"
#include "experiments/worker/guesses.h"
#include "experiments/worker/nonfinite.h"
#include "experiments/worker/registry.h"
#include "framework/core/image_settings.h"
#include "framework/metrics/igm_crm.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings {
  std::string model;
  std::string images, layout;
  int64_t num_images = 1000;
  std::string labels = "none";
  std::string norm = "all";
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
    binder.path(images,
                {.name = "images",
                 .description = "Real images: a folder, with or without class folders, or .npz "
                                "batches. They are resized and cropped to the size of the model.",
                 .required = true,
                 .example = "data/afhq",
                 .identity = Identity::kContent,
                 .file = FileKind::kImages});
    bind_layout(binder, layout, kLayout, "images");
    binder.integer(num_images,
                   {.name = "num_images",
                    .description = "Images used, balanced over classes (the paper: 1000); 0: all.",
                    .minimum = 0});
    bind_labels(binder, labels);
    binder.choice(
        norm,
        {.name = "norm",
         .description =
             "Matrix norm: 2 (spectral, as in the paper), 1 (largest column sum), fro, or all.",
         .choices = {"all", "2", "1", "fro"}});
    bind_batch(binder, batch);
    bind_max_unreadable(binder, max_unreadable);
    bind_device(binder, device, compute_type);
    bind_nonfinite(binder, nonfinite);
  }
};

// Feeds the folder's images to the sums, which are those of all ranks on rank 0.
FolderCount add_images(JobContext& context, const Settings& settings, const Model& model,
                       metrics::IgmCrm& sums) {
  const FolderBatches wanted{.folder = settings.images,
                             .layout = settings.layout,
                             .num_images = settings.num_images,
                             .labels = settings.labels,
                             .batch = settings.batch,
                             .max_unreadable = settings.max_unreadable,
                             .nonfinite = settings.nonfinite};
  return add_folder(context, wanted, model, sums);
}

// So that `guess: auto` need not measure the same again.
void keep_for_guesses(JobContext& context, const Settings& settings, const Model& model,
                      const std::vector<metrics::BlockMetrics>& blocks) {
  GuessMetrics guesses;
  for (const metrics::BlockMetrics& block : blocks) {
    guesses.igm_z.push_back(block.igm_z);
    guesses.igm_zero.push_back(block.igm_zero);
  }
  keep_guesses(context, context.job().contents.at("images").get<std::string>(), settings.num_images,
               model, guesses);
}

constexpr const char* kPrefix = "igm_crm/<norm>/";

// A number of each block, in one norm.
struct BlockArray {
  const char* name;
  double metrics::BlockMetrics::*member;
  const char* unit;
  const char* meaning;
};

const std::vector<BlockArray>& block_arrays() {
  using Metrics = metrics::BlockMetrics;
  static const std::vector<BlockArray> arrays = {
      {"igm_z", &Metrics::igm_z, "", "initial guessing metric of the guess z"},
      {"igm_zero", &Metrics::igm_zero, "", "initial guessing metric of the guess 0"},
      {"crm_x", &Metrics::crm_x, "", "norm of the mean of alpha x"},
      {"crm_ws", &Metrics::crm_ws, "", "norm of W_s"},
      {"crm_wu", &Metrics::crm_wu, "", "norm of W_u"},
      {"crm", &Metrics::crm, "", "convergence ranking metric"},
      {"crm_percent", &Metrics::crm_percent, "%",
       "CRM %: share of the block in the sum of the CRM over blocks"}};
  return arrays;
}

std::vector<ArrayInfo> arrays() {
  const std::vector<std::string> axes = {"block in checkpoint order"};
  std::vector<ArrayInfo> infos = {
      {"igm_crm/guess", ElementType::kString, axes, "",
       "guess with the smaller initial guessing metric (norm 2, if it was computed)"}};
  for (const BlockArray& array : block_arrays()) {
    infos.push_back({std::string(kPrefix) + array.name, ElementType::kFloat64, axes, array.unit,
                     array.meaning});
  }
  return infos;
}

void add_arrays(JobContext& context, const std::string& norm,
                const std::vector<metrics::BlockMetrics>& blocks) {
  for (const BlockArray& array : block_arrays()) {
    std::vector<double> values;
    for (const metrics::BlockMetrics& block : blocks) values.push_back(block.*array.member);
    context.add(std::string(kPrefix) + array.name, {"norm_" + norm}, array_values(values));
  }
}

void add_guesses(JobContext& context, const std::vector<metrics::BlockMetrics>& blocks) {
  std::vector<std::string> guesses;
  for (const metrics::BlockMetrics& block : blocks) guesses.push_back(to_string(block.guess));
  context.add("igm_crm/guess", {}, array_values(std::move(guesses)));
}

void run(JobContext& context) {
  const Settings settings = read_settings<Settings>(context.settings());
  const at::Device device = context.device();
  const Model model = context.load_model(device, compute_type_from(settings.compute_type, device));
  metrics::IgmCrm sums(model);
  const FolderCount count = add_images(context, settings, model, sums);
  if (!context.comm().first()) return;
  const std::vector<std::string> norms = settings.norm == "all"
                                             ? std::vector<std::string>{"2", "1", "fro"}
                                             : std::vector<std::string>{settings.norm};
  for (const std::string& norm : norms) {
    add_arrays(context, norm, sums.result(metrics::matrix_norm_from(norm)));
  }
  const std::vector<metrics::BlockMetrics> main =
      sums.result(metrics::matrix_norm_from(norms.front()));
  add_guesses(context, main);
  const bool as_guesses_do = norms.front() == "2" && settings.labels == "none" &&
                             count.unreadable == 0 && count.nonfinite == 0;
  if (as_guesses_do) keep_for_guesses(context, settings, model, main);
  const auto toughest = std::max_element(
      main.begin(), main.end(), [](const auto& a, const auto& b) { return a.crm < b.crm; });
  if (toughest->crm > 0) {
    context.set_all("toughest_block", int64_t{toughest - main.begin()});
    context.set_all("toughest_crm_percent", toughest->crm_percent);
  } else {
    for (size_t i = 0; i < context.point_count(); ++i)
      context.add_status(i, "the CRM of every block is 0: none is the toughest");
  }
  context.set_all("images_used", count.used);
  context.set_all("unreadable_images", count.unreadable);
  LeftOut left_out(context.point_count());
  for (size_t i = 0; i < context.point_count(); ++i)
    left_out.add(i, count.nonfinite, count.used + count.nonfinite);
  left_out.report(context);
  context.set_all("device", device_name(device));
  context.set_all("compute", to_string(model.compute));
}

const bool registered = register_experiment<Settings>(
    {.name = "igm_crm",
     .description =
         "Initial guessing metric and convergence ranking metric of each block, from real images.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = {{"toughest_block", ColumnType::kInt64, "",
                  "block with the largest CRM, in checkpoint order"},
                 {"toughest_crm_percent", ColumnType::kFloat64, "%",
                  "its CRM %: its share in the sum of the CRM over blocks"},
                 {"images_used", ColumnType::kInt64, "", "images that were read and used"},
                 {"unreadable_images", ColumnType::kInt64, "",
                  "image files left out because they could not be read"},
                 nonfinite_column(),
                 {"compute", ColumnType::kString, "", "compute type the job ran in"}},
     .arrays = arrays(),
     .work = Work::kForward,
     .ranks = true},
    run);

}  // namespace
}  // namespace tarflow::experiments
