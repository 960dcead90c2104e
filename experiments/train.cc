// From a folder of images to a model: the published recipe, step by step (method.md section 8).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "experiments/train_files.h"
#include "experiments/train_history.h"
#include "experiments/train_looks.h"
#include "experiments/train_profile.h"
#include "experiments/train_settings.h"
#include "experiments/train_state.h"
#include "experiments/training_images.h"
#include "experiments/worker/pictures.h"
#include "experiments/worker/registry.h"
#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/images/grid.h"
#include "framework/tensor/device.h"
#include "framework/tensor/memory.h"
#include "framework/training/batches.h"

namespace tarflow::experiments {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMeanSteps = 100;   // over which the loss at the end is a mean
constexpr int64_t kKeptSamples = 16;  // of a look, in the record
constexpr double kLogSeconds = 30;    // between two lines of the log

training::Recipe recipe_of(const TrainSettings& settings, const at::Device& device) {
  training::Recipe recipe;
  recipe.shape = settings.shape();
  recipe.compute = settings.compute(device);
  recipe.adamw.beta1 = settings.beta1;
  recipe.adamw.beta2 = settings.beta2;
  recipe.adamw.weight_decay = settings.weight_decay;
  recipe.clip = settings.clip;
  recipe.ema = settings.ema;
  recipe.kernels = settings.layer_kernels();
  return recipe;
}

TrainSettings checked_settings(JobContext& context) {
  const TrainSettings settings = read_settings<TrainSettings>(context.settings());
  settings.check();
  return settings;
}

TrainingImages read_images(JobContext& context, const TrainSettings& settings) {
  return context.read_folder(settings.images, [&] {
    return TrainingImages(context, {.folder = settings.images,
                                    .layout = settings.layout,
                                    .image_size = static_cast<int>(settings.image_size),
                                    .classes = static_cast<int>(settings.classes),
                                    .num_images = settings.num_images,
                                    .max_unreadable = settings.max_unreadable});
  });
}

// (files, 32) uint8
at::Tensor hash_bytes(const TrainFiles::Result& files) {
  std::vector<uint8_t> bytes;
  for (const std::string& text : {files.sha256, files.averaged_sha256}) {
    for (size_t i = 0; i + 1 < text.size(); i += 2)
      bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return at::tensor(bytes, at::kByte).view({-1, 32});
}

training::Reduction sum_over_ranks(JobContext& context) {
  if (context.comm().size() == 1) return training::one_rank();
  return {[&](const at::Tensor& sum) { context.comm().begin_sum(sum); },
          [&] { context.comm().finish_sums(); }};
}

// What activations may take beside those of one block: of what is free, less than all, because
// looks at the model and the optimizer take some as well.
training::ActivationMemory activation_memory(JobContext& context, const at::Device& device) {
  constexpr double kOfAGpu = 0.9, kOfAMachine = 0.5;
  return [=, ranks = context.comm().size()](int64_t peak) {
    const double free = device.is_cpu()
                            ? kOfAMachine * static_cast<double>(available_memory()) / ranks
                            : kOfAGpu * static_cast<double>(free_memory(device).value_or(0));
    return static_cast<int64_t>(std::min(free, 1e18)) - peak;
  };
}

class Training {
 public:
  explicit Training(JobContext& context)
      : context_(context),
        settings_(checked_settings(context)),
        device_(context.device()),
        recipe_(recipe_of(settings_, device_)),
        history_(recipe_.shape.blocks),
        kept_(context, recipe_.compute),
        files_(context, trained(context.settings()), settings_.keep),
        images_(read_images(context, settings_)),
        plan_(plan_steps(settings_, images_.count(), context.comm().size())),
        order_(static_cast<uint64_t>(settings_.seed), images_.count(), settings_.batch),
        ahead_(images_),
        trainer_(recipe_, settings_.batch, begin(), sum_over_ranks(context),
                 activation_memory(context, device_)),
        profile_(context, device_, plan_.steps - settings_.profile_steps, plan_.steps) {
    context.prepares();  // images and features that are read are no part of the training
    if (!settings_.held_out.empty()) held_out_.emplace(context, settings_);
    if (!settings_.extractor.empty()) distance_.emplace(context, settings_);
    context.work_begins();
  }

  void run() {
    context_.set_resumable(true);
    say_what_is_trained();
    progress(0);
    last_step_ = last_log_ = Clock::now();
    while (steps() < plan_.steps) {
      profile_.before(steps());
      const training::StepReport report = step();
      profile_.after(steps());
      look(report);
      if (report.flagged && steps() < plan_.steps) {
        kept_.write(trainer_.state(), history_, true);
        context_.stop();
      }
      if (!report.skipped) kept_.write(trainer_.state(), history_, false);
    }
    finish();
  }

 private:
  int64_t steps() const { return trainer_.state().steps; }

  // The state of the last write, or the initial one, on the device.
  training::State begin() {
    if (auto state = kept_.read(recipe_, history_)) {
      for (at::Tensor* tensor : {&state->row, &state->var, &state->optimizer.mean,
                                 &state->optimizer.square, &state->average}) {
        if (tensor->defined()) *tensor = tensor->to(device_);
      }
      return *state;
    }
    const training::ParameterLayout layout(recipe_.shape);
    return initial_state(
        recipe_, initial_parameters(layout, static_cast<uint64_t>(settings_.seed)).to(device_));
  }

  void say_what_is_trained() {
    const bool fused = recipe_.kernels == training::LayerKernels::kFused;
    context_.log(fmt::format(
        "{}, {} parameters, {}: {} steps of {} images ({} steps an epoch), {} images {}",
        recipe_.shape.str(), recipe_.shape.parameters(),
        to_string(recipe_.compute) + (fused ? ", fused kernels" : ""), plan_.steps, settings_.batch,
        plan_.steps_per_epoch, images_.count(),
        images_.in_memory() ? "in memory" : "decoded for each batch"));
    if (plan_.schedule.warm_up >= plan_.steps) {
      context_.log(fmt::format("note: the warm-up takes {} steps, all of the training",
                               plan_.schedule.warm_up));
    }
  }

  // After the first part, and when memory became less.
  void say_what_is_kept() {
    const int kept = trainer_.kept_blocks() + 1, blocks = recipe_.shape.blocks;
    if (std::exchange(said_kept_, kept) == kept) return;
    context_.log(fmt::format(
        "activations of {} of {} blocks stay in memory until they are differentiated, {:.3g} GB a "
        "block{}",
        kept, blocks, static_cast<double>(trainer_.block_bytes()) / 1e9,
        kept < blocks ? "; those of the others are computed again" : ""));
  }

  // The first sample of a part of this rank in the step after `done` steps.
  int64_t first_sample(int64_t done, int64_t part) const {
    return done * settings_.batch +
           (context_.comm().rank() * settings_.accumulation + part) * plan_.part;
  }

  void begin_part(int64_t done, int64_t part) {
    if (done < plan_.steps) ahead_.begin(order_.images_of(first_sample(done, part), plan_.part));
  }

  void add_part(int64_t part) {
    const int64_t done = steps(), first = first_sample(done, part);
    if (!ahead_.begun()) begin_part(done, part);
    ImageBytes bytes = ahead_.take();
    const bool last = part + 1 == settings_.accumulation;
    begin_part(last ? done + 1 : done, last ? 0 : part + 1);
    const auto seed = static_cast<uint64_t>(settings_.seed);
    const training::Draws draws = training::draws_of(seed, first, plan_.part, settings_.drop_label);
    at::Tensor images = model_input(bytes.pixels, recipe_.shape, device_);
    if (settings_.flips) images = training::flipped_images(images, draws.flipped);
    const at::Tensor noise =
        training_noise(settings_.noise_kind(), seed, first, plan_.part, images[0].numel(), device_);
    trainer_.add(training::noisy_images(images, noise, settings_.noise_kind(), settings_.noise_std),
                 training::dropped_labels(std::move(bytes.labels), draws.dropped), last);
  }

  training::StepReport step() {
    const double rate = learning_rate(plan_.schedule, steps());
    for (int64_t part = 0; part < settings_.accumulation; ++part) add_part(part);
    say_what_is_kept();
    const training::StepReport report = trainer_.finish(rate, context_.stop_requested());
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_step_).count();
    last_step_ = now;
    const double speed = static_cast<double>(settings_.batch) / std::max(seconds, 1e-9);
    history_.add_step(report, rate, speed);
    if (report.skipped) note_skipped(report);
    progress(speed);
    if (std::chrono::duration<double>(now - last_log_).count() > kLogSeconds) {
      last_log_ = now;
      context_.log(fmt::format("step {} of {}: loss {:.5f} (mean of {} steps), {:.4g} images/s",
                               steps(), plan_.steps, history_.mean_loss(kMeanSteps),
                               std::min(kMeanSteps, steps()), speed));
    }
    return report;
  }

  void note_skipped(const training::StepReport& report) {
    const int64_t skipped = trainer_.state().skipped;
    const std::string what = fmt::format("step {}: the {} is not finite", steps(),
                                         std::isfinite(report.loss()) ? "gradient" : "loss");
    context_.log(fmt::format("{}; the weights stay as they are ({} so far)", what, skipped));
    if (skipped <= settings_.max_skipped_steps) return;
    throw Error(
        fmt::format("{}, and {} steps were skipped so far; at most {} may be", what, skipped,
                    settings_.max_skipped_steps),
        "a smaller `learning_rate`, a longer warm-up or `clip: 1` keep a training finite; "
        "partial.h5 holds the last state before, and `checkpoints` what `save_every` saved");
  }

  void progress(double speed) {
    context_.progress("training", steps() * settings_.batch, plan_.steps * settings_.batch, speed);
  }

  static bool due(int64_t every, int64_t steps) { return every > 0 && steps % every == 0; }

  // What is done between two steps every so often.
  void look(const training::StepReport& report) {
    const int64_t done = steps();
    // Weights whose loss is not finite would take the place of better ones.
    if (due(settings_.save_every, done) && !report.skipped) files_.save(trainer_);
    if (due(settings_.held_out_every, done)) measure_held_out();
    if (due(settings_.samples_every, done)) sample();
    if (due(settings_.distance_every, done)) measure_distance();
  }

  // The weights that samples and held-out losses are made with.
  Model model() const { return trainer_.model(recipe_.compute, settings_.ema > 0); }

  void measure_held_out() {
    if (!held_out_ || history_.has_held_out(steps())) return;
    const double loss = held_out_->loss(model());
    history_.add_held_out(steps(), loss);
    context_.log(fmt::format(
        "step {}: loss of {} held-out images {:.5f}{}", steps(), held_out_->count(), loss,
        settings_.uniform() ? fmt::format(", {:.4f} bits per dimension", loss_in_bits(loss)) : ""));
  }

  void sample() {
    if (settings_.samples == 0 || history_.has_samples(steps()) || !context_.comm().first()) return;
    const std::vector<images::Image> pictures =
        pictures_of(sampled_images(model(), settings_, 0, settings_.samples));
    const size_t kept = std::min(pictures.size(), static_cast<size_t>(kKeptSamples));
    history_.add_samples(steps(), pixels_of({pictures.data(), kept}));
    write_picture(context_, picture_name(), images::grid(pictures, {.columns = 16}));
  }

  void measure_distance() {
    if (!distance_ || history_.has_distance(steps())) return;
    const double distance = distance_->of(model());
    history_.add_distance(steps(), distance);
    context_.log(fmt::format("step {}: {} of {} samples {:.5g}", steps(), distance_->name(),
                             settings_.distance_images, distance));
  }

  std::string picture_name() const { return fmt::format("samples_{:08}.png", steps()); }

  void finish() {
    measure_held_out();
    sample();
    measure_distance();
    kept_.write(trainer_.state(), history_, true);
    if (!context_.comm().first()) return;
    const TrainFiles::Result files = files_.finish(trainer_);
    report(files);
  }

  void report(const TrainFiles::Result& files) {
    history_.report(context_);
    profile_.report();
    const auto set = [&](const char* column, const record::Cell& value) {
      context_.set_all(column, value);
    };
    set("checkpoint", files.file);
    set("checkpoint_sha256", files.sha256);
    if (!files.averaged_file.empty()) {
      set("averaged_checkpoint", files.averaged_file);
      set("averaged_checkpoint_sha256", files.averaged_sha256);
    }
    context_.add("checkpoints/sha256", {}, array_values(hash_bytes(files)));
    set("steps_done", steps());
    set("steps_skipped", trainer_.state().skipped);
    if (trainer_.state().skipped > 0) {
      context_.add_status(0, fmt::format("{} of {} steps skipped: loss or gradient not finite",
                                         trainer_.state().skipped, steps()));
    }
    set("images_used", images_.count());
    set("unreadable_images", images_.unreadable());
    set("images_seen", steps() * settings_.batch);
    set("first_loss", history_.first_loss());
    set("last_loss", history_.mean_loss(kMeanSteps));
    if (held_out_) {
      set("held_out_loss", history_.held_out_loss());
      if (settings_.uniform()) set("held_out_bits", loss_in_bits(history_.held_out_loss()));
    }
    if (distance_) {
      set("distance", history_.distance());
      set("distance_name", distance_->name());
    }
    if (settings_.samples > 0) {
      set("picture",
          fmt::format("{}/jobs/{}/{}", context_.job().sweep, context_.job().hash, picture_name()));
    }
    set("parameters", recipe_.shape.parameters());
    set("smoke", int64_t{!context_.job().smoke.is_null()});
    set("device", device_name(device_));
    set("compute", to_string(recipe_.compute));
    context_.log(fmt::format("loss {:.5f} at the first step, {:.5f} at the end (mean of {} steps)",
                             history_.first_loss(), history_.mean_loss(kMeanSteps),
                             std::min(kMeanSteps, steps())));
  }

  JobContext& context_;
  const TrainSettings settings_;
  const at::Device device_;
  const training::Recipe recipe_;
  TrainHistory history_;
  TrainState kept_;
  TrainFiles files_;
  const TrainingImages images_;
  const StepPlan plan_;
  training::Order order_;
  BatchAhead ahead_;
  training::Trainer trainer_;
  StepProfile profile_;
  std::optional<HeldOut> held_out_;
  std::optional<SampleDistance> distance_;
  Clock::time_point last_step_{}, last_log_{};
  int said_kept_ = 0;  // blocks
};

void run(JobContext& context) { Training(context).run(); }

std::vector<Column> columns() {
  std::vector<Column> columns = {
      {"checkpoint", ColumnType::kString, "",
       "the trained model: a file in the job's folder, and in `output`"},
      {"checkpoint_sha256", ColumnType::kString, "", "SHA-256 of that file"},
      {"averaged_checkpoint", ColumnType::kString, "",
       "the model with averaged weights, where `ema` keeps them"},
      {"averaged_checkpoint_sha256", ColumnType::kString, "", "SHA-256 of that file"},
      {"steps_done", ColumnType::kInt64, "", "steps, skipped ones included"},
      {"steps_skipped", ColumnType::kInt64, "", "steps whose loss or gradient was not finite"},
      {"images_used", ColumnType::kInt64, "", "images that were trained on"},
      {"unreadable_images", ColumnType::kInt64, "",
       "image files left out because they could not be read"},
      {"images_seen", ColumnType::kInt64, "", "images of all batches"},
      {"first_loss", ColumnType::kFloat64, "nat", "loss of the first batch"},
      {"last_loss", ColumnType::kFloat64, "nat",
       "mean loss of the last 100 batches, skipped steps left out"},
      {"held_out_loss", ColumnType::kFloat64, "nat",
       "mean loss of the held-out images at the end; with averaged weights where `ema` keeps them"},
      {"held_out_bits", ColumnType::kFloat64, "bit",
       "the same in bits per dimension; of uniform noise alone"},
      {"distance", ColumnType::kFloat64, "",
       "Frechet distance of `distance_images` samples of the end to the reference"},
      {"distance_name", ColumnType::kString, "", "what the distance is called"},
      picture_column("samples of the end"),
      {"parameters", ColumnType::kInt64, "", "elements of all weights"},
      {"smoke", ColumnType::kInt64, "", "1: a trial run with few images and steps"},
      {"compute", ColumnType::kString, "", "compute type the job ran in"}};
  for (Column& column : train_profile_columns()) columns.push_back(std::move(column));
  return columns;
}

std::vector<ArrayInfo> arrays() {
  std::vector<ArrayInfo> arrays = train_arrays();
  for (ArrayInfo& array : train_profile_arrays()) arrays.push_back(std::move(array));
  return arrays;
}

const bool registered = register_experiment<TrainSettings>(
    {.name = kTrain,
     .description = "Trains a TarFlow on images by the published recipe and writes its checkpoint.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = columns(),
     .arrays = arrays(),
     .work = Work::kTraining,
     .ranks = true},
    run);

}  // namespace
}  // namespace tarflow::experiments
