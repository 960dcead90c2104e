// Initial guessing and convergence ranking metrics of each block from real images (method.md
// section 3).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "experiments/reference.h"
#include "experiments/registry.h"
#include "framework/core/error.h"
#include "framework/images/folder.h"
#include "framework/images/image.h"
#include "framework/images/load.h"
#include "framework/metrics/igm_crm.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings {
  std::string model;
  std::string images;
  int64_t num_images = 1000;
  std::string norm = "all";
  int64_t batch = 64;
  int64_t max_unreadable = 0;
  std::string device = "auto";
  std::string compute_type = "float32";

  void bind(Binder& binder) {
    binder.model(model, {.name = "model",
                         .description = "A name under `models:`.",
                         .required = true,
                         .example = "afhq"});
    binder.path(
        images,
        {.name = "images",
         .description =
             "Folder of real images in class folders; resized and cropped to the model's side.",
         .required = true,
         .example = "data/afhq",
         .identity = Identity::kContent,
         .file = FileKind::kImages});
    binder.integer(num_images,
                   {.name = "num_images",
                    .description = "Images used, balanced over classes (the paper: 1000).",
                    .minimum = 1});
    binder.choice(
        norm,
        {.name = "norm",
         .description =
             "Matrix norm: 2 (spectral, as in the paper), 1 (largest column sum), fro, or all.",
         .choices = {"all", "2", "1", "fro"}});
    binder.integer(
        batch,
        {.name = "batch",
         .description =
             "Images run at once; sums are kept in float64, so it does not change the result.",
         .minimum = 1,
         .identity = Identity::kNone});
    bind_max_unreadable(binder, max_unreadable);
    bind_device(binder, device, compute_type);
  }
};

// Feeds the folder's images to the sums, a batch at a time; returns how many files were unreadable.
int64_t add_images(JobContext& context, const Settings& settings, const Model& model,
                   metrics::IgmCrm& sums) {
  const std::vector<images::ImageFile> files =
      images::select_balanced(images::list_images(settings.images), settings.num_images);
  images::LoadOptions load;
  load.size = model.shape.image_size;
  load.max_unreadable = settings.max_unreadable;
  load.threads = at::get_num_threads();
  const int64_t side = model.shape.image_size, pixels = 3 * side * side;
  const at::Tensor batch =
      at::empty({std::min(settings.batch, settings.num_images), 3, side, side}, at::kFloat);
  int64_t filled = 0;
  const auto flush = [&] {
    if (filled > 0) sums.add(batch.slice(0, 0, filled).to(model.device));
    filled = 0;
    context.progress("forward", sums.count(), settings.num_images);
    if (sums.count() < settings.num_images) context.stop_if_requested();
  };
  context.progress("forward", 0, settings.num_images);
  const auto unreadable = images::load_images(files, load, [&](int64_t, images::Image image) {
    float* at = batch.mutable_data_ptr<float>() + filled * pixels;
    images::to_floats(image, std::span<float>(at, static_cast<size_t>(pixels)));
    if (++filled == batch.size(0)) flush();
  });
  flush();
  return log_unreadable(context, unreadable);
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
      {"crm_percent", &Metrics::crm_percent, "%", "share of the convergence ranking metric"}};
  return arrays;
}

std::vector<ArrayInfo> arrays() {
  const std::vector<std::string> axes = {"block in checkpoint order"};
  std::vector<ArrayInfo> infos = {
      {"igm_crm/guess", ElementType::kString, axes, "",
       "guess of the smaller initial guessing metric, norm 2 where it was asked for"}};
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
  for (const metrics::BlockMetrics& block : blocks)
    guesses.push_back(block.guess == Guess::kZ ? "z" : "zero");
  context.add("igm_crm/guess", {}, array_values(std::move(guesses)));
}

void run(JobContext& context) {
  const Settings settings = read_settings<Settings>(context.settings());
  const at::Device device = device_from(settings.device);
  const Model model = context.load_model(device, compute_type_from(settings.compute_type, device));
  metrics::IgmCrm sums(model);
  const int64_t unreadable = add_images(context, settings, model, sums);
  const std::vector<std::string> norms = settings.norm == "all"
                                             ? std::vector<std::string>{"2", "1", "fro"}
                                             : std::vector<std::string>{settings.norm};
  for (const std::string& norm : norms) {
    add_arrays(context, norm, sums.result(metrics::matrix_norm_from(norm)));
  }
  const std::vector<metrics::BlockMetrics> main =
      sums.result(metrics::matrix_norm_from(norms.front()));
  add_guesses(context, main);
  const auto toughest = std::max_element(
      main.begin(), main.end(), [](const auto& a, const auto& b) { return a.crm < b.crm; });
  context.set_all("toughest_block", int64_t{toughest - main.begin()});
  context.set_all("toughest_crm_percent", toughest->crm_percent);
  context.set_all("images_used", sums.count());
  context.set_all("unreadable_images", unreadable);
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
                 {"toughest_crm_percent", ColumnType::kFloat64, "%", "its share of the CRM"},
                 {"images_used", ColumnType::kInt64, "", "images that were read and used"},
                 {"unreadable_images", ColumnType::kInt64, "",
                  "image files left out because they could not be read"},
                 {"compute", ColumnType::kString, "", "compute type the job ran in"}},
     .arrays = arrays(),
     .work = Work::kForward},
    run);

}  // namespace
}  // namespace tarflow::experiments
