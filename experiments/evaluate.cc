// Samples, self-denoising and the Frechet distance of one strategy, each timed apart (method.md
// sections 2 and 4). Points that differ only in self_denoising_lr share the samples and the
// gradient.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "experiments/device_share.h"
#include "experiments/reference.h"
#include "experiments/registry.h"
#include "experiments/sampling_job.h"
#include "framework/core/error.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr int64_t kKeptImages = 64;               // before self-denoising, for comparing strategies
constexpr int64_t kChunkMomentsLimit = 64 << 20;  // bytes of chunk moments kept with a point

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

// What one point gathers over the chunks.
struct PointTotals {
  double lr = 0;
  double denoise_seconds = 0, feature_seconds = 0;
  int64_t nonfinite = 0;
  std::vector<metrics::Moments> chunks;
};

class Evaluation {
 public:
  explicit Evaluation(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.settings())),
        device_(device_from(settings_.device)),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        sampler_(model_, settings_.options()) {
    for (size_t i = 0; i < context.point_count(); ++i) {
      points_.push_back({.lr = read_settings<Settings>(context.point_settings(i)).self_denoising_lr,
                         .chunks = {}});
      differentiate_ = differentiate_ || points_.back().lr != 0;
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
    if (!settings_.extractor.empty()) {
      extractor_ = metrics::Extractor::load(settings_.extractor, device_);
      reference_ =
          load_reference(context_, settings_.reference, *extractor_, model_.shape.image_size);
    }
    warm_up();
    const DeviceShare share;
    for (const Chunk& chunk : chunks_of(settings_.num_images, settings_.chunk)) {
      sample_chunk(chunk);
      for (PointTotals& point : points_) measure(point, chunk);
      const int64_t done = chunk.first + chunk.count;
      context_.progress("sampling", done, settings_.num_images,
                        static_cast<double>(done) / sampling_seconds_);
    }
    foreign_share_ = share.foreign_share();
    for (size_t i = 0; i < points_.size(); ++i) report(i);
    report_shared();
  }

 private:
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
    sampling_seconds_ += sampling.seconds();
    work_.add(result, chunk.count);
    images_ = result.images;
    keep_first(images_);
    if (!differentiate_) return;
    const Stopwatch gradient(device_);
    gradient_ = loss_gradient(model_, images_, labels);
    gradient_seconds_ += gradient.seconds();
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
    point.chunks.push_back(std::move(moments));
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

  void keep_first(const at::Tensor& images) {
    const int64_t missing = kKeptImages - kept_count_;
    if (missing <= 0) return;
    kept_.push_back(images.slice(0, 0, missing).cpu());
    kept_count_ += kept_.back().size(0);
  }

  void report(size_t index) {
    const PointTotals& point = points_[index];
    const double denoise = (point.lr == 0 ? 0 : gradient_seconds_) + point.denoise_seconds;
    const double total = sampling_seconds_ + denoise + point.feature_seconds;
    context_.set(index, "sampling_seconds", sampling_seconds_);
    context_.set(index, "denoise_seconds", denoise);
    context_.set(index, "feature_seconds", point.feature_seconds);
    context_.set(index, "total_seconds", total);
    context_.set(index, "images_per_second", static_cast<double>(settings_.num_images) / total);
    context_.set(index, "nonfinite_images", point.nonfinite);
    if (extractor_) report_distance(index);
  }

  void report_distance(size_t index) {
    const PointTotals& point = points_[index];
    const metrics::Moments all = metrics::combine(point.chunks);
    context_.set(index, "distance_name", metrics::distance_name(*extractor_));
    context_.set(index, "distance_images", all.count);
    context_.set(index, "reference_images", reference_->count);
    context_.set(index, "features", reference_->mean.numel());
    if (all.count < 2) return;  // two images at least make a covariance
    const metrics::Gaussian gaussian = all.gaussian();
    context_.set(index, "distance", metrics::frechet_distance(gaussian, *reference_));
    if (gaussian.fewer_samples_than_features()) {
      context_.log(fmt::format(
          "note: {} images for {} features: the covariance is singular and the distance depends on "
          "the number of images",
          all.count, gaussian.mean.numel()));
    }
    add_moments(index);
  }

  void add_moments(size_t index) {
    std::vector<int64_t> counts;
    std::vector<at::Tensor> sums, outers;
    for (const metrics::Moments& chunk : points_[index].chunks) {
      if (chunk.count == 0) continue;
      counts.push_back(chunk.count);
      sums.push_back(chunk.sum);
      outers.push_back(chunk.outer);
    }
    const int64_t size = static_cast<int64_t>(counts.size()), width = sums.at(0).numel();
    if (size * width * width * 8 >
        kChunkMomentsLimit) {  // one chunk: the sum of all, in index order
      const metrics::Moments all = metrics::combine(points_[index].chunks);
      counts = {all.count};
      sums = {all.sum};
      outers = {all.outer};
    }
    const std::string point = context_.point_id(index);
    const auto add = [&](record::Array array) {
      array.point = point;
      context_.add(std::move(array));
    };
    const std::string group = "moments/" + point + "/";
    add(record::make_array(group + "count", {static_cast<int64_t>(counts.size())}, counts, "",
                           "images in each chunk"));
    add(to_array(group + "sum", at::stack(sums), "", "sum of features; chunk, feature"));
    add(to_array(group + "outer", at::stack(outers), "", "sum of f f^T; chunk, feature, feature"));
  }

  void report_shared() {
    const bool quiet =
        device_.is_cuda() || (foreign_share_ >= 0 && foreign_share_ <= kForeignShareLimit);
    context_.set_all("exclusive", int64_t{context_.exclusive() && quiet});
    context_.set_all("interrupted", int64_t{0});
    context_.set_all("foreign_cpu_share", foreign_share_);
    context_.set_all("block_passes", work_.block_passes());
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(model_.compute));
    work_.add_arrays(context_);
    context_.add(to_array("images/before_denoising", at::cat(kept_), "",
                          "the first images in [-1, 1], unclipped, before self-denoising; image, "
                          "channel, row, column"));
  }

  uint64_t seed() const { return static_cast<uint64_t>(settings_.seed); }

  JobContext& context_;
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  ChunkSampler sampler_;
  std::optional<metrics::Extractor> extractor_;
  std::optional<metrics::Gaussian> reference_;
  std::vector<PointTotals> points_;
  bool differentiate_ = false;
  at::Tensor images_, gradient_;  // of the chunk at hand
  std::vector<at::Tensor> kept_;
  int64_t kept_count_ = 0;
  WorkTotals work_;
  double sampling_seconds_ = 0, gradient_seconds_ = 0, foreign_share_ = -1;
};

void run(JobContext& context) { Evaluation(context).run(); }

std::vector<Column> columns() {
  const auto seconds = [](const char* name, const char* description) {
    return Column{name, ColumnType::kFloat64, "s", description, true};
  };
  return {
      seconds("sampling_seconds", "noise to images, all chunks, warm-up left out"),
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
      {"interrupted", ColumnType::kInt64, "", "1: the job was continued, so its times do not count",
       true},
      {"smoke", ColumnType::kInt64, "",
       "1: a trial run with few images, perhaps with an untrained model"},
      {"block_passes", ColumnType::kFloat64, "",
       "tokens evaluated / T, summed over blocks, a mean over images"},
      {"distance", ColumnType::kFloat64, "", "Frechet distance of the features to the reference"},
      {"distance_name", ColumnType::kString, "",
       "FID only with the FID's own weights, else FD(extractor)"},
      {"distance_images", ColumnType::kInt64, "", "samples in the distance"},
      {"reference_images", ColumnType::kInt64, "", "real images in the distance"},
      {"features", ColumnType::kInt64, "", "width of the features"},
      {"nonfinite_images", ColumnType::kInt64, "",
       "samples left out because a pixel was not finite"},
      {"compute", ColumnType::kString, "", "compute type the job ran in"}};
}

const bool registered =
    register_experiment<Settings>({.name = "evaluate",
                                   .description = "Samples images, denoises them, and measures "
                                                  "times and the Frechet distance of a strategy.",
                                   .revision = 1,
                                   .timed = true,
                                   .fields = {},
                                   .columns = columns(),
                                   .work = Work::kSampling},
                                  run);

}  // namespace
}  // namespace tarflow::experiments
