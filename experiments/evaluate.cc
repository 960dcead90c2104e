// Samples, self-denoising and the Frechet distance of one strategy, each timed apart (method.md
// sections 2 and 4). Points that differ only in self_denoising_lr share the samples and the
// gradient.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "experiments/device_share.h"
#include "experiments/evaluate_totals.h"
#include "experiments/partial_file.h"
#include "experiments/reference.h"
#include "experiments/registry.h"
#include "experiments/sampling_job.h"
#include "framework/core/error.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

struct Settings : SamplingSettings {
  double self_denoising_lr = 1;
  std::string extractor, reference;
  std::string nonfinite = "fail";
  int64_t warmup_images = 2;

  void bind(Binder& binder) {
    SamplingSettings::bind(binder);
    bind_self_denoising(binder, self_denoising_lr);
    bind_extractor(binder, extractor, /*required=*/false);
    binder.path(
        reference,
        {.name = "reference",
         .description =
             "What samples are compared with: a folder of real images, or a file of fid_stats. "
             "Without it and an extractor no distance is measured.",
         .example = "assets/cifar10",
         .identity = Identity::kContent,
         .file = FileKind::kReference});
    binder.choice(
        nonfinite,
        {.name = "nonfinite",
         .description =
             "Images with not-a-number or infinite pixels: fail the job and list them, or "
             "exclude them from the distance and count them.",
         .choices = {"fail", "exclude"}});
    binder.integer(warmup_images, {.name = "warmup_images",
                                   .description = "Images sampled before timing starts.",
                                   .minimum = 0,
                                   .identity = Identity::kNone});
  }
};

class Evaluation {
 public:
  explicit Evaluation(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.settings())),
        device_(device_from(settings_.device)),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        sampler_(model_, settings_.options()),
        chunks_(chunks_of(settings_.num_images, settings_.chunk)) {
    for (size_t i = 0; i < context.point_count(); ++i) {
      PointTotals& point = totals_.points.emplace_back();
      point.lr = read_settings<Settings>(context.point_settings(i)).self_denoising_lr;
      differentiate_ = differentiate_ || point.lr != 0;
    }
    if (differentiate_ && model_.shape.noise_std <= 0) {
      throw Error("self-denoising needs the model's noise level, which its file does not hold",
                  "state `noise_std` under the model, or set self_denoising_lr: 0");
    }
    if (settings_.extractor.empty() != settings_.reference.empty()) {
      throw Error("a distance needs both `extractor` and `reference`", "state both, or neither");
    }
  }

  void run() {
    context_.set_resumable(true);
    load_metrics();
    PartialFile partial(context_, partial_identity(context_, device_, model_.compute));
    restore(partial);
    stop_if_requested(nullptr);
    warm_up();
    DeviceShare share(device_);
    const double earlier = totals_.seconds;
    const Stopwatch loop(device_);
    report_progress();
    while (totals_.chunks_done < chunk_count()) {
      stop_if_requested(&partial);
      const Chunk& chunk = chunks_[static_cast<size_t>(totals_.chunks_done)];
      sample_chunk(chunk);
      for (PointTotals& point : totals_.points) measure(point, chunk);
      ++totals_.chunks_done;
      totals_.seconds = earlier + loop.seconds();
      share.look();
      report_progress();
      if (partial.due(totals_.state_bytes())) partial.write(totals_.state());
    }
    foreign_share_ = share.foreign_share();
    quiet_ = share.quiet();
    for (size_t i = 0; i < totals_.points.size(); ++i) report(i);
    report_shared();
  }

 private:
  int64_t chunk_count() const { return static_cast<int64_t>(chunks_.size()); }

  void load_metrics() {
    if (settings_.extractor.empty()) return;
    extractor_ = metrics::Extractor::load(settings_.extractor, device_);
    reference_ =
        load_reference(context_, settings_.reference, *extractor_, model_.shape.image_size);
    for (PointTotals& point : totals_.points)
      point.moments = metrics::MomentGroups(chunk_count(), reference_->gaussian.mean.numel());
  }

  void restore(const PartialFile& partial) {
    const std::optional<ArrayMap> arrays = partial.read();
    if (!arrays) return;
    try {
      totals_.restore(*arrays);
    } catch (const std::exception& failure) {
      context_.log(fmt::format("partial.h5 is not continued: {}", failure.what()));
      return;
    }
    continued_ = totals_.chunks_done > 0;
    context_.environment()["continued_at_chunk"] = totals_.chunks_done;
    context_.log(fmt::format("continued at chunk {} of {}, after {:.1f} s of earlier work",
                             totals_.chunks_done, chunk_count(), totals_.seconds));
  }

  // Throws Stopped; what was done since the last write goes to `partial`, unless there is nothing.
  void stop_if_requested(PartialFile* partial) const {
    if (!context_.stop_requested()) return;
    const bool kept = totals_.chunks_done == 0 || !partial || partial->write(totals_.state());
    throw Stopped{fmt::format("stopped at chunk {} of {}; {}", totals_.chunks_done, chunk_count(),
                              kept ? "to be continued" : "the job will start anew")};
  }

  void report_progress() {
    int64_t done = 0;
    for (int64_t c = 0; c < totals_.chunks_done; ++c) done += chunks_[static_cast<size_t>(c)].count;
    const double rate =
        totals_.sampling_seconds > 0 ? static_cast<double>(done) / totals_.sampling_seconds : 0;
    context_.progress("sampling", done, settings_.num_images, rate);
  }

  void warm_up() {
    const int64_t count = std::min(settings_.warmup_images, settings_.num_images);
    if (count == 0) return;
    const Chunk chunk{0, 0, count};
    const Labels labels = labels_of(model_, seed(), chunk);
    const at::Tensor images = sampler_.sample(noise_of(model_, seed(), chunk), labels).images;
    if (differentiate_) loss_gradient(model_, images, labels);
    if (extractor_) extractor_->features(metrics::to_uint8(images));
  }

  // Leaves images_ and, if any point needs it, gradient_.
  void sample_chunk(const Chunk& chunk) {
    const Labels labels = labels_of(model_, seed(), chunk);
    const at::Tensor noise = noise_of(model_, seed(), chunk);
    sampler_.prepare(chunk.count);
    const Stopwatch sampling(device_);
    const SampleResult result = sampler_.sample(noise, labels);
    totals_.sampling_seconds += sampling.seconds();
    totals_.work.add(result, chunk.count);
    images_ = result.images;
    totals_.keep_first(images_);
    if (!differentiate_) return;
    const Stopwatch gradient(device_);
    gradient_ = loss_gradient(model_, images_, labels);
    totals_.gradient_seconds += gradient.seconds();
  }

  void measure(PointTotals& point, const Chunk& chunk) {
    const Stopwatch denoising(device_);
    at::Tensor images =
        point.lr == 0 ? images_ : self_denoise(model_, images_, gradient_, point.lr);
    point.denoise_seconds += denoising.seconds();
    images = finite_images(images, point, chunk);
    if (!extractor_) return;
    const Stopwatch features(device_);
    metrics::Moments moments;
    if (images.size(0) > 0) moments.add(extractor_->features(metrics::to_uint8(images)));
    point.feature_seconds += features.seconds();
    point.moments.add(chunk.index, std::move(moments));
  }

  // Images without a pixel that is not finite.
  at::Tensor finite_images(const at::Tensor& images, PointTotals& point, const Chunk& chunk) const {
    const at::Tensor finite = images.isfinite().flatten(1).all(1).cpu();
    const at::Tensor bad = (~finite).nonzero().flatten();
    if (bad.numel() == 0) return images;
    point.nonfinite += bad.numel();
    if (settings_.nonfinite == "fail") {
      std::vector<int64_t> indices;
      for (int64_t i = 0; i < bad.numel(); ++i)
        indices.push_back(chunk.first + bad[i].item<int64_t>());
      throw Error(fmt::format("images {} are not finite with self_denoising_lr {}",
                              fmt::join(indices, ", "), point.lr),
                  "more iterations or a clamp may cure it; `nonfinite: exclude` leaves such images "
                  "out and counts them");
    }
    return images.index_select(0, finite.nonzero().flatten().to(images.device()));
  }

  void report(size_t index) {
    const PointTotals& point = totals_.points[index];
    const double denoise = (point.lr == 0 ? 0 : totals_.gradient_seconds) + point.denoise_seconds;
    const double total = totals_.sampling_seconds + denoise + point.feature_seconds;
    context_.set(index, "denoise_seconds", denoise);
    context_.set(index, "feature_seconds", point.feature_seconds);
    context_.set(index, "total_seconds", total);
    context_.set(index, "images_per_second", static_cast<double>(settings_.num_images) / total);
    context_.set(index, "nonfinite_images", point.nonfinite);
    if (extractor_) report_distance(index);
  }

  void report_distance(size_t index) {
    const PointTotals& point = totals_.points[index];
    const metrics::Moments all = point.moments.total();
    context_.set(index, "distance_name", metrics::distance_name(*extractor_));
    context_.set(index, "distance_images", all.count);
    context_.set(index, "reference_images", reference_->gaussian.count);
    context_.set(index, "features", reference_->gaussian.mean.numel());
    if (all.count < 2) return;  // two images at least make a covariance
    const metrics::Gaussian gaussian = all.gaussian();
    context_.set(index, "distance", metrics::frechet_distance(gaussian, reference_->gaussian));
    if (gaussian.fewer_samples_than_features()) {
      context_.log(fmt::format(
          "note: {} images for {} features: the covariance is singular and the distance depends on "
          "the number of images",
          all.count, gaussian.mean.numel()));
    }
    add_moments(index, all);
  }

  void add_moments(size_t index, const metrics::Moments& all) {
    std::vector<int64_t> counts;
    std::vector<at::Tensor> sums, outers;
    const auto add = [&](const metrics::Moments& moments) {
      if (moments.count == 0) return;
      counts.push_back(moments.count);
      sums.push_back(moments.sum);
      outers.push_back(moments.outer);
    };
    for (const metrics::Moments& group : totals_.points[index].moments.groups()) add(group);
    const int64_t bytes = all.outer.numel() * 8 * static_cast<int64_t>(counts.size());
    if (bytes > metrics::kMomentBytes) {  // one group: all
      counts.clear();
      sums.clear();
      outers.clear();
      add(all);
    }
    const std::vector<std::string> point = {context_.point_id(index)};
    context_.add("moments/<point>/count", point, array_values(counts));
    context_.add("moments/<point>/sum", point, array_values(at::stack(sums)));
    context_.add("moments/<point>/outer", point, array_values(at::stack(outers)));
  }

  void report_shared() {
    context_.set_all("exclusive", int64_t{context_.exclusive() && quiet_});
    context_.set_all("interrupted", int64_t{continued_});
    context_.set_all("foreign_cpu_share", foreign_share_);
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    report_work(context_, model_, settings_, totals_.work, totals_.sampling_seconds);
    context_.add("images/before_denoising", {}, array_values(at::cat(totals_.kept)));
  }

  uint64_t seed() const { return static_cast<uint64_t>(settings_.seed); }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  ChunkSampler sampler_;
  std::optional<metrics::Extractor> extractor_;
  std::optional<Reference> reference_;
  const std::vector<Chunk> chunks_;
  EvaluateTotals totals_;
  bool differentiate_ = false, continued_ = false;
  at::Tensor images_, gradient_;  // of the chunk at hand
  double foreign_share_ = -1;
  bool quiet_ = false;
};

void run(JobContext& context) { Evaluation(context).run(); }

std::vector<Column> columns() {
  const auto seconds = [](const char* name, const char* description) {
    return Column{name, ColumnType::kFloat64, "s", description, true};
  };
  std::vector<Column> columns = {
      seconds("denoise_seconds",
              "gradient and self-denoising step; the gradient is shared by all rates"),
      seconds("feature_seconds", "feature extraction and sums"),
      seconds("total_seconds",
              "sampling, self-denoising and features, as the published time is defined"),
      {"images_per_second", ColumnType::kFloat64, "1/s", "num_images / total_seconds", true},
      {"foreign_cpu_share", ColumnType::kFloat64, "",
       "CPU time of other processes over that of the machine", true},
      {"exclusive", ColumnType::kInt64, "",
       "1: the job had its device to itself, so its times count", true},
      {"interrupted", ColumnType::kInt64, "",
       "1: the job was stopped and continued, so its times do not count", true},
      {"smoke", ColumnType::kInt64, "",
       "1: a trial run with few images, perhaps with an untrained model"},
      {"distance", ColumnType::kFloat64, "", "Frechet distance of the features to the reference"},
      {"distance_name", ColumnType::kString, "",
       "FID only with the FID's own weights, else FD(extractor)"},
      {"distance_images", ColumnType::kInt64, "", "samples in the distance"},
      {"reference_images", ColumnType::kInt64, "", "real images in the distance"},
      {"features", ColumnType::kInt64, "", "width of the features"},
      {"nonfinite_images", ColumnType::kInt64, "",
       "samples left out because a pixel was not finite"}};
  for (Column& column : work_columns()) columns.push_back(std::move(column));
  return columns;
}

std::vector<ArrayInfo> arrays() {
  std::vector<ArrayInfo> arrays = work_arrays();
  arrays.insert(
      arrays.end(),
      {{"images/before_denoising",
        ElementType::kFloat32,
        {"image", "channel", "row", "column"},
        "",
        "the first images in [-1, 1], unclipped, before self-denoising"},
       {"moments/<point>/count",
        ElementType::kInt64,
        {"group of consecutive chunks"},
        "",
        "images whose features were added up; one group a chunk while all take 64 MiB at most"},
       {"moments/<point>/sum",
        ElementType::kFloat64,
        {"group of consecutive chunks", "feature"},
        "",
        "sum of the features f"},
       {"moments/<point>/outer",
        ElementType::kFloat64,
        {"group of consecutive chunks", "feature", "feature"},
        "",
        "sum of f f^T"}});
  return arrays;
}

const bool registered =
    register_experiment<Settings>({.name = "evaluate",
                                   .description = "Samples images, denoises them, and measures "
                                                  "times and the Frechet distance of a strategy.",
                                   .revision = 1,
                                   .timed = true,
                                   .fields = {},
                                   .columns = columns(),
                                   .arrays = arrays(),
                                   .work = Work::kSampling},
                                  run);

}  // namespace
}  // namespace tarflow::experiments
