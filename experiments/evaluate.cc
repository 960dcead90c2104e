// Samples, self-denoising and the Frechet distance of one strategy, each timed apart (method.md
// sections 2 and 4). Points that differ only in self_denoising_lr, extractor or reference share the
// samples and the gradient.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "experiments/evaluate_report.h"
#include "experiments/evaluate_settings.h"
#include "experiments/evaluate_totals.h"
#include "experiments/worker/calibration.h"
#include "experiments/worker/dealing.h"
#include "experiments/worker/device_share.h"
#include "experiments/worker/partial_file.h"
#include "experiments/worker/reference.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/saved_images.h"
#include "experiments/worker/tunings.h"
#include "framework/core/error.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

// Which of the job's totals a point's results come from.
struct PointParts {
  size_t rate = 0;
  std::optional<size_t> features, reference;  // none: no distance is measured
};

// The index of the first element for which `is` holds; one made by `make` at the end without any.
template <typename Value, typename Is, typename Make>
size_t found_or_added(std::vector<Value>& values, const Is& is, const Make& make) {
  const auto found = std::find_if(values.begin(), values.end(), is);
  if (found != values.end()) return static_cast<size_t>(found - values.begin());
  values.push_back(make());
  return values.size() - 1;
}

bool any_self_denoising(const JobContext& context) {
  for (size_t i = 0; i < context.point_count(); ++i) {
    if (context.point_settings(i).value("self_denoising_lr", kSelfDenoisingLr) != 0) return true;
  }
  return false;
}

class Evaluation {
 public:
  explicit Evaluation(JobContext& context)
      : context_(context),
        settings_(read_settings<EvaluateSettings>(context.settings())),
        device_(context.device()),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        sampler_(model_,
                 watched(sample_options(context, settings_, model_, any_self_denoising(context))),
                 batch_options(context, settings_, any_self_denoising(context))),
        chunks_(chunks_of(settings_.num_images, settings_.chunk)) {
    for (size_t i = 0; i < context.point_count(); ++i)
      points_.push_back(parts_of(read_settings<EvaluateSettings>(context.point_settings(i))));
    for (const RateTotals& rate : totals_.rates) differentiate_ = differentiate_ || rate.lr != 0;
    if (differentiate_) require_noise_level(kSelfDenoisingLr, model_.shape.noise_std);
    std::vector<std::vector<size_t>> points_of_rates(totals_.rates.size());
    for (size_t i = 0; i < points_.size(); ++i) points_of_rates[points_[i].rate].push_back(i);
    saved_.emplace(context, settings_.save_images, std::move(points_of_rates));
  }

  void run() {
    context_.set_resumable(true);
    context_.prepares();
    load_metrics();
    Json identity = partial_identity(context_, device_, model_.compute);
    // Images of another calibration are other ones, within the tolerance.
    if (const std::string hash = calibration_hash(context_, model_); !hash.empty())
      identity["calibration"] = hash;
    if (const std::string hash = tuned_hash(context_); !hash.empty()) identity["tuned"] = hash;
    PartialFile partial(context_, std::move(identity));
    restore(partial);
    if (comm_.any(context_.stop_requested())) stop(nullptr);
    warm_up();
    context_.work_begins();
    if (!sample(partial)) stop(&partial);
    if (!comm_.first()) return;
    report_left_out();
    saved_->finish(chunk_count());
    FeatureReport features(context_, settings_);
    for (size_t i = 0; i < points_.size(); ++i) {
      if (context_.stop_requested()) stop(&partial);  // wide features take minutes
      report(i, features);
    }
    report_shared();
  }

 private:
  int64_t chunk_count() const { return static_cast<int64_t>(chunks_.size()); }

  // Adds to the totals what the point needs and no point before it did.
  PointParts parts_of(const EvaluateSettings& point) {
    PointParts parts;
    parts.rate = found_or_added(
        totals_.rates, [&](const RateTotals& rate) { return rate.lr == point.self_denoising_lr; },
        [&] { return RateTotals{point.self_denoising_lr}; });
    if (point.extractor.empty() != point.reference.empty()) {
      throw Error("a distance needs both `extractor` and `reference`", "state both, or neither");
    }
    if (point.extractor.empty()) return parts;
    parts.features = found_or_added(
        totals_.features,
        [&](const FeatureTotals& features) {
          return features.rate == parts.rate && features.extractor == point.extractor;
        },
        [&] {
          FeatureTotals features;
          features.rate = parts.rate;
          features.extractor = point.extractor;
          return features;
        });
    parts.reference = found_or_added(
        references_,
        [&](const LoadedReference& reference) {
          return reference.extractor == point.extractor && reference.path == point.reference;
        },
        [&] {
          return LoadedReference{point.extractor, point.reference, {}};
        });
    return parts;
  }

  void load_metrics() {
    for (LoadedReference& reference : references_) {
      const auto [extractor, fresh] = extractors_.try_emplace(reference.extractor, std::nullopt);
      if (fresh) {
        extractor->second = load_extractor(context_, reference.extractor,
                                           metrics::precision_from(settings_.extractor_precision),
                                           model_.shape.image_size);
      }
      reference.statistics = load_reference(context_, reference.path, settings_.layout,
                                            *extractor->second, model_.shape.image_size);
      for (FeatureTotals& features : totals_.features) {
        if (features.extractor != reference.extractor) continue;
        features.moments =
            metrics::MomentGroups(chunk_count(), reference.statistics.gaussian.mean.numel());
      }
    }
  }

  // Rank 0 alone has what was done; the others know how far it is.
  void restore(const PartialFile& partial) {
    if (comm_.first()) {
      const EvaluateTotals fresh = totals_;
      read(partial);
      if (!saved_->begin(totals_.chunks_done)) {
        context_.log("all is sampled again: not all images of what is done are on the disk");
        totals_ = fresh;
        continued_ = false;
        context_.environment().erase("continued_at_chunk");
        saved_->begin(0);
      }
    }
    totals_.chunks_done = std::stoll(comm_.broadcast(std::to_string(totals_.chunks_done)));
  }

  void read(const PartialFile& partial) {
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
  [[noreturn]] void stop(PartialFile* partial) {
    saved_->flush();
    const bool kept =
        totals_.chunks_done == 0 || !partial || !comm_.first() || partial->write(totals_.state());
    throw Stopped{fmt::format("stopped at chunk {} of {}; {}", totals_.chunks_done, chunk_count(),
                              kept ? "to be continued" : "the job will start from the beginning")};
  }

  // All chunks that are not done; false when the job was asked to stop before the last.
  bool sample(PartialFile& partial) {
    DeviceShare share(device_);
    times_ = {0, 0, std::vector<double>(totals_.rates.size()),
              std::vector<double>(totals_.features.size())};
    rank_times_.assign(static_cast<size_t>(comm_.size()), times_);
    summing_.assign(totals_.features.size(), 0);
    const EvaluateTotals earlier = totals_;
    const Stopwatch loop(device_);
    report_progress();
    Dealing dealing(comm_, chunk_count(), totals_.chunks_done);
    const bool done =
        dealing.run([&](int64_t c) { return measured(chunks_[static_cast<size_t>(c)]); },
                    [&](int64_t c, const Piece& piece) {
                      keep(partial);
                      add(chunks_[static_cast<size_t>(c)], piece);
                      set_times(earlier, loop.seconds(), dealing.exchange_seconds());
                      report_progress();
                    },
                    [&] {
                      share.look();
                      return context_.stop_requested();
                    },
                    [&] {
                      saved_->settle();
                      kept_chunks_ = totals_.chunks_done;
                    });
    saved_->flush();
    if (saved_->wanted()) comm_.barrier();  // all images are on the disk, also those of other ranks
    for (const std::string& use : comm_.gather(share.use().text()))
      uses_.push_back(DeviceUse::from(use));
    return done;
  }

  // What was done before the chunk that is added next, if it is time. Its images are on the disk:
  // in one process those of all earlier chunks, in several those of earlier exchanges. So nobody
  // waits for images that were just made.
  void keep(PartialFile& partial) {
    if (totals_.chunks_done == 0 || !partial.due(totals_.state_bytes())) return;
    if (comm_.size() == 1) {
      saved_->settle_but_last_chunk();
    } else if (saved_->wanted() && kept_chunks_ != totals_.chunks_done) {
      return;
    }
    partial.write(totals_.state());
  }

  int64_t images_done() const {
    return std::min(totals_.chunks_done * settings_.chunk, settings_.num_images);
  }

  void report_progress() {
    const int64_t done = images_done();
    const double rate =
        totals_.sampling_seconds > 0 ? static_cast<double>(done) / totals_.sampling_seconds : 0;
    context_.progress(kSamplingPhase, done, settings_.num_images, rate);
  }

  // The options with which the chunk at hand is told of while it is sampled.
  SampleOptions watched(SampleOptions options) {
    options.on_progress = [this](double share) { report_inside(share); };
    return options;
  }

  // The ranks sample a chunk each at the same time.
  void report_inside(double share) {
    if (warming_up_) {
      if (warmed_up_ == 0) context_.progress_inside("warming up", 0, 1, 1, share);
      return;
    }
    const int64_t done = images_done(),
                  count = std::min(settings_.chunk * comm_.size(), settings_.num_images - done);
    const double images = static_cast<double>(done) + share * static_cast<double>(count);
    // By the clock of the host: a look at the device's would wait for it.
    const std::chrono::duration<double> inside = std::chrono::steady_clock::now() - chunk_start_;
    context_.progress_inside(kSamplingPhase, done, settings_.num_images, count, share,
                             images / (totals_.sampling_seconds + inside.count()));
  }

  // What comes once (memory, recorded graphs, the libraries' choices, connecting GPUs) comes before
  // anything is timed.
  void warm_up() {
    if (settings_.warmup_images == 0 || totals_.chunks_done == chunk_count()) return;
    const int64_t mine = std::min(totals_.chunks_done + comm_.rank(), chunk_count() - 1);
    const at::Tensor images = warm_up(chunks_[static_cast<size_t>(mine)].count);
    comm_.gather_tensors({{"first", images}});
  }

  // Chunks of another size than those before have memory and graphs of their own.
  at::Tensor warm_up(int64_t count) {
    const Chunk chunk{0, 0, count};
    const Labels labels = labels_of(model_, settings_, chunk);
    at::Tensor images;
    warming_up_ = true;
    for (int64_t done = 0; done < settings_.warmup_images; done += count) {
      images = sampler_.sample(noise_of(model_, seed(), chunk), labels).images;
      if (differentiate_) sampler_.gradient(images, labels);
      for (const auto& [path, extractor] : extractors_)
        extractor->any_features(metrics::to_uint8(images));
    }
    warming_up_ = false;
    warmed_up_ = count;
    return images;
  }

  // What one chunk gives, by name, and the times of this rank so far.
  Piece measured(const Chunk& chunk) {
    Piece piece;
    sample_chunk(chunk, piece);
    for (size_t rate = 0; rate < totals_.rates.size(); ++rate) measure(rate, chunk, piece);
    piece["times"] = times_.packed();
    return piece;
  }

  // Leaves images_ and, if any point needs it, gradient_.
  void sample_chunk(const Chunk& chunk, Piece& piece) {
    const Labels labels = labels_of(model_, settings_, chunk);
    const at::Tensor noise = noise_of(model_, seed(), chunk);
    if (settings_.warmup_images > 0 && warmed_up_ != chunk.count) warm_up(chunk.count);
    sampler_.prepare(chunk.count);
    const Stopwatch sampling(device_);
    chunk_start_ = std::chrono::steady_clock::now();
    const SampleResult result = sampler_.sample(noise, labels);
    times_.sampling += sampling.seconds();
    WorkTotals work;
    work.add(result, chunk.count);
    piece = work.tensors();
    images_ = result.images;
    if (chunk.first < kKeptImages)
      piece["images"] = images_.slice(0, 0, kKeptImages - chunk.first).cpu();
    if (!differentiate_) return;
    const Stopwatch gradient(device_);
    gradient_ = sampler_.gradient(images_, labels);
    times_.gradient += gradient.seconds();
  }

  // The images of one rate, and what the extractors see in them.
  void measure(size_t index, const Chunk& chunk, Piece& piece) {
    const double lr = totals_.rates[index].lr;
    const Stopwatch denoising(device_);
    at::Tensor images = lr == 0 ? images_ : self_denoise(model_, images_, gradient_, lr);
    times_.denoising[index] += denoising.seconds();
    const at::Tensor finite = finite_rows(images);
    require_finite(settings_.nonfinite, finite, chunk.first,
                   fmt::format("with self_denoising_lr {}", lr));
    piece[nonfinite_name(index)] = at::full({}, count_false(finite), at::kLong);
    images = rows_where(images, finite);
    saved_->add(index, chunk, images, finite, labels_of(model_, settings_, chunk));
    for (size_t f = 0; f < totals_.features.size(); ++f) {
      if (totals_.features[f].rate != index || images.size(0) == 0) continue;
      const metrics::Extractor& extractor = *extractors_.at(totals_.features[f].extractor);
      const Stopwatch watch(device_);
      const at::Tensor features = extractor.any_features(metrics::to_uint8(images));
      times_.features[f] += watch.seconds();
      add_features(f, features, indices_of(finite, chunk), extractor.name(), piece);
    }
  }

  // The rows that are finite; `indices` are those of the images.
  void add_features(size_t f, const at::Tensor& features, const std::vector<int64_t>& indices,
                    const std::string& extractor, Piece& piece) const {
    const at::Tensor finite = finite_rows(features);
    if (count_false(finite) > 0) {
      refuse_nonfinite(settings_.nonfinite, names_of_false(finite, indices),
                       fmt::format("in the features of the extractor {}", extractor));
    }
    piece[features_name(f)] = rows_where(features, finite);
    piece[lost_name(f)] = at::full({}, count_false(finite), at::kLong);
  }

  static std::vector<int64_t> indices_of(const at::Tensor& finite, const Chunk& chunk) {
    std::vector<int64_t> indices;
    for (int64_t i = 0; i < chunk.count; ++i) {
      if (finite.const_data_ptr<bool>()[i]) indices.push_back(chunk.first + i);
    }
    return indices;
  }

  static std::string nonfinite_name(size_t rate) { return fmt::format("nonfinite/{}", rate); }
  static std::string features_name(size_t index) { return fmt::format("features/{}", index); }
  static std::string lost_name(size_t index) { return fmt::format("lost/{}", index); }

  // On rank 0, chunk after chunk.
  void add(const Chunk& chunk, const Piece& piece) {
    Piece work;
    for (const auto& [name, tensor] : piece)
      if (name.starts_with("work/")) work[name] = tensor;
    totals_.work.append(WorkTotals::from(work));
    if (piece.contains("images")) totals_.keep_first(piece.at("images"));
    for (size_t i = 0; i < totals_.rates.size(); ++i)
      totals_.rates[i].nonfinite += piece.at(nonfinite_name(i)).item<int64_t>();
    for (size_t f = 0; f < totals_.features.size(); ++f) {
      const auto features = piece.find(features_name(f));
      if (features == piece.end()) continue;
      FeatureTotals& own = totals_.features[f];
      own.nonfinite += piece.at(lost_name(f)).item<int64_t>();
      if (features->second.size(0) == 0) continue;
      const Stopwatch watch(device_);
      metrics::Moments moments;
      moments.add(features->second);
      own.moments.add(chunk.index, std::move(moments));
      summing_[f] += watch.seconds();
      own.keep_first(features->second, settings_.kept_features);
    }
    rank_times_[static_cast<size_t>(chunk.index % comm_.size())].unpack(piece.at("times"));
    totals_.chunks_done = chunk.index + 1;
  }

  // Of each time that of the rank that took longest, after those of earlier starts of the job.
  void set_times(const EvaluateTotals& earlier, double loop, double gather) {
    RankTimes longest = rank_times_.front();
    for (const RankTimes& times : rank_times_) longest.raise_to(times);
    totals_.seconds = earlier.seconds + loop;
    totals_.gather_seconds = earlier.gather_seconds + gather;
    totals_.sampling_seconds = earlier.sampling_seconds + longest.sampling;
    totals_.gradient_seconds = earlier.gradient_seconds + longest.gradient;
    for (size_t i = 0; i < totals_.rates.size(); ++i)
      totals_.rates[i].seconds = earlier.rates[i].seconds + longest.denoising[i];
    for (size_t f = 0; f < totals_.features.size(); ++f) {
      totals_.features[f].seconds = earlier.features[f].seconds + summing_[f] + longest.features[f];
    }
  }

  void report_left_out() {
    LeftOut left_out(points_.size());
    for (size_t i = 0; i < points_.size(); ++i) {
      const PointParts& parts = points_[i];
      const int64_t features = parts.features ? totals_.features[*parts.features].nonfinite : 0;
      left_out.add(i, totals_.rates[parts.rate].nonfinite + features, settings_.num_images);
    }
    left_out.report(context_, "samples");
  }

  void report(size_t index, FeatureReport& report) {
    const PointParts& parts = points_[index];
    const RateTotals& rate = totals_.rates[parts.rate];
    const FeatureTotals* features = parts.features ? &totals_.features[*parts.features] : nullptr;
    const double denoise = (rate.lr == 0 ? 0 : totals_.gradient_seconds) + rate.seconds;
    const double seen = features ? features->seconds : 0;
    const double total = totals_.sampling_seconds + denoise + totals_.gather_seconds + seen;
    context_.set(index, "denoise_seconds", denoise);
    context_.set(index, "feature_seconds", seen);
    context_.set(index, "total_seconds", total);
    context_.set(index, "images_per_second", static_cast<double>(settings_.num_images) / total);
    if (!features) return;
    context_.images_are_made();
    context_.progress("metrics", static_cast<int64_t>(index), static_cast<int64_t>(points_.size()),
                      0, "points");
    report.add(index, *features, *extractors_.at(features->extractor),
               references_[*parts.reference], device_);
  }

  void report_shared() {
    context_.set_all("everything_seconds", totals_.seconds);
    context_.set_all("gather_seconds", totals_.gather_seconds);
    context_.set_all("ranks", int64_t{comm_.size()});
    context_.set_all("exclusive", int64_t{context_.exclusive() && quiet(uses_)});
    context_.set_all("interrupted", int64_t{continued_ || stopped(uses_)});
    context_.set_all("foreign_cpu_share", foreign_share(uses_));
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    report_work(context_, model_, totals_.work, totals_.sampling_seconds);
    context_.add("images/before_denoising", {}, array_values(at::cat(totals_.kept)));
    add_labels(context_, labels_of(model_, settings_, {0, 0, totals_.kept_count}));
  }

  uint64_t seed() const { return static_cast<uint64_t>(settings_.seed); }

  JobContext& context_;
  dist::Communicator& comm_ = context_.comm();
  const EvaluateSettings settings_;
  const at::Device device_;
  const Model model_;
  ChunkSampler sampler_;
  std::map<std::string, std::optional<metrics::Extractor>> extractors_;  // by path
  std::vector<LoadedReference> references_;
  const std::vector<Chunk> chunks_;
  EvaluateTotals totals_;
  std::vector<PointParts> points_;
  std::optional<SavedImages> saved_;  // never nothing after construction
  bool differentiate_ = false, continued_ = false;
  bool warming_up_ = false;
  std::chrono::steady_clock::time_point chunk_start_{};
  int64_t kept_chunks_ = -1;           // chunks whose images all ranks have on the disk
  int64_t warmed_up_ = 0;              // images of the chunks that warm_up prepared for
  at::Tensor images_, gradient_;       // of the chunk at hand
  RankTimes times_;                    // of this rank
  std::vector<RankTimes> rank_times_;  // as rank 0 last heard
  std::vector<double> summing_;        // moments, by extractor
  std::vector<DeviceUse> uses_;        // by rank
};

void run(JobContext& context) { Evaluation(context).run(); }

const bool registered = register_experiment<EvaluateSettings>(
    {.name = "evaluate",
     .description = "Samples images, denoises them, and measures times, the Frechet distance "
                    "and its error, KID, precision and recall of a strategy.",
     .revision = 2,
     .timed = true,
     .fields = {},
     .columns = evaluate_columns(),
     .arrays = evaluate_arrays(),
     .work = Work::kSampling,
     .ranks = true},
    run);

}  // namespace
}  // namespace tarflow::experiments
