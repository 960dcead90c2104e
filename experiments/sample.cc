// Images from given noise, or by seed, to HDF5 and PNG.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "experiments/registry.h"
#include "experiments/sampling_job.h"
#include "framework/core/error.h"
#include "framework/images/grid.h"
#include "framework/images/image.h"
#include "framework/images/png.h"
#include "framework/record/dataset_file.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings : SamplingSettings {
  double self_denoising_lr = 0;
  std::string noise, noise_dataset = "noise", labels_dataset = "labels";
  double noise_scale = 1;
  bool trace = false;

  void bind(Binder& binder) {
    SamplingSettings::bind(binder);
    binder.number(
        self_denoising_lr,
        {.name = "self_denoising_lr",
         .description = "Step of the self-denoising, in units of the noise's variance; 0: none.",
         .minimum = 0,
         .shared = true});
    binder.path(
        noise,
        {.name = "noise",
         .description =
             "HDF5 file with the standard normal noise (N, T, D) and, for conditional models, "
             "labels (N); without it both follow from the seed.",
         .example = "noise.h5",
         .identity = Identity::kContent});
    binder.text(noise_dataset,
                {.name = "noise_dataset", .description = "Dataset of the noise in that file."});
    binder.text(labels_dataset,
                {.name = "labels_dataset", .description = "Dataset of the labels in that file."});
    binder.number(noise_scale, {.name = "noise_scale",
                                .description = "Factor on the noise before the prior's variance.",
                                .minimum = 0});
    binder.boolean(trace,
                   {.name = "trace", .description = "Also keep the state after every block."});
  }
};

struct Inputs {
  at::Tensor noise;  // (N, T, D) on the CPU
  Labels labels;
};

Inputs inputs_from_file(const Settings& settings, const Model& model) {
  const record::Array noise = record::read_dataset(settings.noise, settings.noise_dataset);
  const std::vector<int64_t> token = {model.shape.tokens(), model.shape.token_width()};
  if (noise.shape.size() != 3 || noise.shape[1] != token[0] || noise.shape[2] != token[1]) {
    throw Error(fmt::format("`{}` of {} is not (N, {}, {})", settings.noise_dataset, settings.noise,
                            token[0], token[1]));
  }
  if (noise.shape[0] < settings.num_images) {
    throw Error(fmt::format("{} holds noise of {} images, num_images is {}", settings.noise,
                            noise.shape[0], settings.num_images));
  }
  const std::vector<double> values = record::to_doubles(noise);
  const int64_t elements = settings.num_images * token[0] * token[1];
  Inputs inputs;
  inputs.noise = at::empty({settings.num_images, token[0], token[1]}, at::kFloat);
  std::transform(values.begin(), values.begin() + elements, inputs.noise.mutable_data_ptr<float>(),
                 [](double value) { return static_cast<float>(value); });
  if (model.shape.classes > 0) {
    const record::Array labels = record::read_dataset(settings.noise, settings.labels_dataset);
    const std::vector<double> all = record::to_doubles(labels);
    if (static_cast<int64_t>(all.size()) < settings.num_images) {
      throw Error(fmt::format("`{}` of {} has fewer labels than images", settings.labels_dataset,
                              settings.noise));
    }
    for (int64_t i = 0; i < settings.num_images; ++i)
      inputs.labels.push_back(static_cast<int64_t>(all[static_cast<size_t>(i)]));
  }
  return inputs;
}

void write_grid(const std::filesystem::path& file, const at::Tensor& images) {
  const int side = static_cast<int>(images.size(2));
  const at::Tensor values = images.cpu().contiguous();
  std::vector<images::Image> cells;
  for (int64_t i = 0; i < values.size(0); ++i) {
    const at::Tensor image = values[i];
    cells.push_back(images::to_image(
        {image.const_data_ptr<float>(), static_cast<size_t>(image.numel())}, side, side));
  }
  images::write_png(file, images::grid(cells, {.columns = 8}));
}

void run(JobContext& context) {
  const Settings settings = read_settings<Settings>(context.settings());
  const at::Device device = device_from(settings.device);
  const Model model = context.load_model(device, compute_type_from(settings.compute_type, device));
  Inputs given;
  if (!settings.noise.empty()) given = inputs_from_file(settings, model);
  SampleOptions options = settings.options();
  options.keep_trace = settings.trace;
  WorkTotals work;
  std::vector<at::Tensor> images;
  std::vector<std::vector<at::Tensor>> denoised(context.point_count()), traces;
  for (const Chunk& chunk : chunks_of(settings.num_images, settings.chunk)) {
    const uint64_t seed = static_cast<uint64_t>(settings.seed);
    const bool own = given.noise.defined();
    at::Tensor noise = own ? given.noise.slice(0, chunk.first, chunk.first + chunk.count).to(device)
                           : noise_of(model, seed, chunk);
    Labels labels = own ? Labels{} : labels_of(model, seed, chunk);
    if (own && !given.labels.empty()) {
      labels.assign(given.labels.begin() + chunk.first,
                    given.labels.begin() + chunk.first + chunk.count);
    }
    const SampleResult result = sample(model, noise * settings.noise_scale, labels, options);
    work.add(result, chunk.count);
    images.push_back(result.images.cpu());
    if (settings.trace) traces.push_back({at::stack(result.trace).cpu()});
    at::Tensor gradient;
    for (size_t i = 0; i < context.point_count(); ++i) {
      const double lr = read_settings<Settings>(context.point_settings(i)).self_denoising_lr;
      if (lr != 0 && !gradient.defined()) gradient = loss_gradient(model, result.images, labels);
      denoised[i].push_back(lr == 0 ? result.images.cpu()
                                    : self_denoise(model, result.images, gradient, lr).cpu());
    }
    context.progress("sampling", chunk.first + chunk.count, settings.num_images);
  }
  context.add(to_array("images/before_denoising", at::cat(images), "",
                       "images in [-1, 1], unclipped; image, channel, row, column"));
  if (settings.trace) {
    std::vector<at::Tensor> states;
    for (const auto& chunk : traces) states.push_back(chunk[0]);
    context.add(to_array(
        "images/trace", at::cat(states, 1), "",
        "raw noise, then the state after blocks K-1 to 0; state, image, channel, row, column"));
  }
  for (size_t i = 0; i < context.point_count(); ++i) {
    const at::Tensor final_images = at::cat(denoised[i]);
    record::Array array = to_array("images/final/" + context.point_id(i), final_images, "",
                                   "images after self-denoising; image, channel, row, column");
    array.point = context.point_id(i);
    context.add(std::move(array));
    const std::filesystem::path png =
        context.folder() / fmt::format("samples_{}.png", context.point_id(i));
    write_grid(png, final_images.slice(0, 0, 64));
    context.log(fmt::format("first images: {}", png.string()));
  }
  work.add_arrays(context);
  context.set_all("block_passes", work.block_passes());
  context.set_all("device", device_name(device));
  context.set_all("compute", to_string(model.compute));
}

const bool registered = register_experiment<Settings>(
    {.name = "sample",
     .description = "Samples images from given noise or by seed; they go to the record and to PNG.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = {{"block_passes", ColumnType::kFloat64, "",
                  "tokens evaluated / T, summed over blocks, a mean over images"},
                 {"compute", ColumnType::kString, "", "compute type the job ran in"}}},
    run);

}  // namespace
}  // namespace tarflow::experiments
