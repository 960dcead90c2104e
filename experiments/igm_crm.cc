// Initial guessing and convergence ranking metrics of each block from real images (method.md
// section 3).
#include <ATen/ATen.h>
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
  const int64_t side = model.shape.image_size, pixels = 3 * side * side;
  const at::Tensor batch =
      at::empty({std::min(settings.batch, settings.num_images), 3, side, side}, at::kFloat);
  int64_t filled = 0;
  const auto flush = [&] {
    if (filled > 0) sums.add(batch.slice(0, 0, filled).to(model.device));
    filled = 0;
    context.progress("forward", sums.count(), settings.num_images);
  };
  const auto unreadable = images::load_images(files, load, [&](int64_t, images::Image image) {
    float* at = batch.mutable_data_ptr<float>() + filled * pixels;
    images::to_floats(image, std::span<float>(at, static_cast<size_t>(pixels)));
    if (++filled == batch.size(0)) flush();
  });
  flush();
  return log_unreadable(context, unreadable);
}

void add_arrays(JobContext& context, const std::string& norm,
                const std::vector<metrics::BlockMetrics>& blocks) {
  const auto add = [&](const char* name, double metrics::BlockMetrics::*member, const char* unit,
                       const char* meaning) {
    std::vector<double> values;
    for (const metrics::BlockMetrics& block : blocks) values.push_back(block.*member);
    context.add(record::make_array(fmt::format("igm_crm/norm_{}/{}", norm, name),
                                   {static_cast<int64_t>(values.size())}, values, unit,
                                   fmt::format("{}; block in checkpoint order", meaning)));
  };
  add("igm_z", &metrics::BlockMetrics::igm_z, "", "initial guessing metric of the guess z");
  add("igm_zero", &metrics::BlockMetrics::igm_zero, "", "initial guessing metric of the guess 0");
  add("crm_x", &metrics::BlockMetrics::crm_x, "", "norm of the mean of alpha x");
  add("crm_ws", &metrics::BlockMetrics::crm_ws, "", "norm of W_s");
  add("crm_wu", &metrics::BlockMetrics::crm_wu, "", "norm of W_u");
  add("crm", &metrics::BlockMetrics::crm, "", "convergence ranking metric");
  add("crm_percent", &metrics::BlockMetrics::crm_percent, "%",
      "share of the convergence ranking metric");
}

void add_guesses(JobContext& context, const std::vector<metrics::BlockMetrics>& blocks) {
  record::Array guesses;
  guesses.path = "igm_crm/guess";
  guesses.type = record::ArrayType::kString;
  guesses.shape = {static_cast<int64_t>(blocks.size())};
  for (const metrics::BlockMetrics& block : blocks)
    guesses.strings.push_back(block.guess == Guess::kZ ? "z" : "zero");
  guesses.meaning =
      "guess of the smaller initial guessing metric, norm 2 where it was asked for; block in "
      "checkpoint order";
  context.add(std::move(guesses));
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
     .work = Work::kForward},
    run);

}  // namespace
}  // namespace tarflow::experiments
