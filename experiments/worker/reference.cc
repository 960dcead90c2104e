#include "experiments/worker/reference.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <map>
#include <optional>

#include "experiments/worker/folder_batches.h"
#include "experiments/worker/nonfinite.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/statistics.h"
#include "framework/core/error.h"
#include "framework/core/file_kind.h"
#include "framework/core/hash.h"
#include "framework/images/batch_file.h"
#include "framework/images/folder.h"
#include "framework/metrics/features.h"
#include "framework/metrics/inception.h"
#include "framework/record/dataset_file.h"

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBatch = metrics::kExtractorBatch;  // images of a folder read at once

// The resize that images went through before the extractor: part of what makes statistics
// comparable.
std::string resize_identity(int image_size) {
  return fmt::format("PIL bilinear antialiased, centre crop {}", image_size);
}

[[noreturn]] void refuse(const fs::path& file, const std::string& what, const std::string& found,
                         const std::string& expected) {
  throw Error(fmt::format("{} was made with {} `{}`, this job uses `{}`", file.string(), what,
                          found, expected),
              "make the statistics again with the experiment fid_stats");
}

void require_same(const fs::path& file, const std::string& attribute, const std::string& expected,
                  bool may_lack = false) {
  const std::string found = record::read_root_attribute(file, attribute);
  if (found == expected || (may_lack && found.empty())) return;
  refuse(file, attribute, found, expected);
}

// The same file, or the same Inception weights from another.
void require_extractor(const fs::path& file, const metrics::Extractor& extractor) {
  const std::string weights = record::read_root_attribute(file, "weights_sha256");
  if (!weights.empty() && weights == extractor.weights_sha256()) return;
  require_same(file, "extractor_sha256", extractor.sha256());
}

void require_width(const fs::path& file, int64_t found, const metrics::Extractor& extractor,
                   int image_size) {
  const at::Tensor grey = at::full({1, 3, image_size, image_size}, 128, at::kByte);
  const int64_t expected = extractor.features(grey).size(1);
  if (found == expected) return;
  throw Error(fmt::format("{} has {} features an image, the extractor {} gives {}", file.string(),
                          found, extractor.name(), expected),
              "name the statistics that this extractor made");
}

void require_finite_statistics(const fs::path& file, const Reference& reference) {
  const std::map<const char*, at::Tensor> tensors = {{"mu", reference.gaussian.mean},
                                                     {"sigma", reference.gaussian.covariance},
                                                     {"features", reference.features}};
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) continue;
    const int64_t bad = count_false(at::isfinite(tensor));
    if (bad == 0) continue;
    throw Error(fmt::format("{}: {} of {} values of `{}` are NaN or infinite", file.string(), bad,
                            tensor.numel(), name),
                "make the statistics again with the experiment fid_stats");
  }
}

// Of fid_stats.
Reference read_own_file(const fs::path& file, const metrics::Extractor& extractor, int image_size) {
  require_extractor(file, extractor);
  require_same(file, "resize", resize_identity(image_size));
  require_same(file, "extractor_input", extractor.input(), /*may_lack=*/true);
  std::string precision = record::read_root_attribute(file, "extractor_precision");
  if (precision.empty()) precision = "float32";  // older than the setting
  const std::string own = metrics::to_string(extractor.precision());
  if (precision != own) refuse(file, "extractor_precision", precision, own);
  Reference reference{{}, {}, file.string()};
  metrics::Gaussian& gaussian = reference.gaussian;
  gaussian.mean = to_tensor(record::read_dataset(file, "mu")).to(at::kDouble);
  gaussian.covariance = to_tensor(record::read_dataset(file, "sigma")).to(at::kDouble);
  gaussian.count =
      static_cast<int64_t>(record::to_doubles(record::read_dataset(file, "count")).at(0));
  const int64_t features = gaussian.mean.numel();
  if (gaussian.count < 2) {
    throw Error(fmt::format("{} was made from {} samples; a covariance needs two at least",
                            file.string(), gaussian.count),
                "make the statistics again with the experiment fid_stats");
  }
  if (gaussian.mean.dim() != 1 ||
      gaussian.covariance.sizes() != at::IntArrayRef({features, features})) {
    throw Error(fmt::format("{} does not hold mu (F) and sigma (F, F)", file.string()));
  }
  require_width(file, features, extractor, image_size);
  if (!record::read_root_attribute(file, "features_kept").empty()) {
    reference.features = to_tensor(record::read_dataset(file, "features")).to(at::kFloat);
    if (reference.features.dim() != 2 || reference.features.size(1) != features)
      throw Error(fmt::format("{} does not hold features (n, {})", file.string(), features));
  }
  require_finite_statistics(file, reference);
  return reference;
}

// Statistics that carry the network which made them: it must be this one.
void require_weights(const fs::path& file, const metrics::Extractor& extractor) {
  const checkpoint::Checkpoint state = checkpoint::Checkpoint::open(file);
  constexpr const char* kWithin = "inception.";
  if (!metrics::Inception::is_in(state, kWithin)) return;
  const std::string found =
      metrics::Inception::load(state.with_prefix_stripped(kWithin), at::kCPU).weights_sha256();
  if (found != extractor.weights_sha256())
    refuse(file, "Inception weights of SHA-256", found, extractor.weights_sha256());
}

// Of another program.
Reference read_foreign_file(JobContext& context, const fs::path& file,
                            const metrics::Extractor& extractor, int image_size) {
  const checkpoint::FeatureStatistics found = checkpoint::read_statistics(file);
  const auto width = static_cast<int64_t>(found.mean.size());
  require_width(file, width, extractor, image_size);
  const bool named = checkpoint::statistics_kind(file) == checkpoint::StatisticsKind::kTorchmetrics;
  if (named) require_weights(file, extractor);
  context.log(fmt::format(
      "{} does not say {}: taken as made with the extractor {} from images of {} pixels",
      file.string(), named ? "how its images were resized" : "its extractor, resize or image count",
      extractor.name(), image_size));
  Reference reference{{at::tensor(found.mean, at::kDouble),
                       at::tensor(found.covariance, at::kDouble).view({width, width}), found.count},
                      {},
                      file.string()};
  require_finite_statistics(file, reference);
  return reference;
}

// Of one batch: "features" and "mirrored" of the images whose features are finite, and how many are
// left out.
Piece finite_features(const metrics::Extractor& extractor, const images::Batch& batch,
                      const FolderImages& wanted) {
  const metrics::BatchFeatures found = features_of(extractor, batch, wanted.flips);
  at::Tensor finite = finite_rows(found.features);
  if (wanted.flips) finite = finite.logical_and(finite_rows(found.mirrored));
  if (count_false(finite) > 0) {
    refuse_nonfinite(wanted.nonfinite, names_of_false(finite, batch.files),
                     fmt::format("in the features of the extractor {} (counted among the chosen "
                                 "images of {})",
                                 extractor.name(), wanted.folder.string()),
                     wanted.nonfinite_repair);
  }
  Piece piece = {{"features", rows_where(found.features, finite)},
                 {"nonfinite", at::full({}, count_false(finite), at::kLong)}};
  if (wanted.flips) piece["mirrored"] = rows_where(found.mirrored, finite);
  return piece;
}

// `path` is of a kind that may hold statistics; where its bytes tell nothing its reader says why.
void require_statistics_file(const fs::path& path) {
  if (checkpoint::statistics_kind(path) != checkpoint::StatisticsKind::kOther) return;
  const ContentKind kind = kind_of_file(path);
  if (kind.name.empty() || kind.name == kHdf5Kind) return;
  throw wrong_kind(path, "HDF5, .npz or *_fid_stats.pth with statistics",
                   "`reference` takes a file of fid_stats, a *_fid_stats.pth, an .npz with mu and "
                   "sigma, or a folder of images");
}

// Statistics kept under the results' cache; nothing where they are not, or not usable.
std::optional<Reference> read_kept(JobContext& context, const fs::path& file,
                                   const metrics::Extractor& extractor, int image_size) {
  if (!fs::exists(file)) return std::nullopt;
  try {
    Reference kept = read_own_file(file, extractor, image_size);
    metrics::require_covariance(kept.gaussian, file.string());
    return kept;
  } catch (const Error& failure) {
    context.log(
        fmt::format("the cached statistics are not usable and are made again: {}", failure.what()));
    return std::nullopt;
  }
}

}  // namespace

metrics::Extractor load_extractor(JobContext& context, const fs::path& path,
                                  metrics::Precision precision, int64_t image_size) {
  metrics::Extractor extractor = context.inputs().read(
      path.string(), [&] { return metrics::Extractor::load(path, context.device(), precision); });
  if (const std::string note = extractor.try_on(image_size); !note.empty()) context.log(note);
  return extractor;
}

int64_t log_unreadable(JobContext& context, const std::vector<images::UnreadableFile>& files) {
  for (const images::UnreadableFile& file : files) {
    context.log(fmt::format("left out: {}: {}", file.path.string(), file.reason));
  }
  return static_cast<int64_t>(files.size());
}

namespace {

FolderStatistics read_statistics(JobContext& context, const FolderImages& wanted,
                                 const metrics::Extractor& extractor) {
  const images::ImageFolder listed = list_folder(context, wanted.folder, wanted.layout);
  const std::vector<images::ImageFile> files =
      wanted.num_images > 0 ? images::select_balanced(listed, wanted.num_images) : listed.files;
  ListedBatches batches{files, {}, kBatch, "features"};
  batches.load.size = wanted.image_size;
  batches.load.max_unreadable = wanted.max_unreadable;
  batches.load.threads = at::get_num_threads();
  context.log(fmt::format("features of {} images of {}", files.size(), wanted.folder.string()));
  // Features are gathered and not their (F, F) sums: rank 0 makes those in no time.
  metrics::FeatureSums sums(extractor.device(), wanted.keep_features);
  FolderStatistics statistics;
  statistics.unreadable =
      for_each_listed(
          context, batches,
          [&](const images::Batch& batch) { return finite_features(extractor, batch, wanted); },
          [&](const Piece& piece) {
            statistics.nonfinite += piece.at("nonfinite").item<int64_t>();
            sums.add({piece.at("features"), wanted.flips ? piece.at("mirrored") : at::Tensor()});
          })
          .unreadable;
  if (!context.comm().first()) return statistics;
  if (statistics.nonfinite > 0 && sums.images() == 0) {
    throw Error(fmt::format("no statistics: of none of {} images are the features of the extractor "
                            "{} finite",
                            statistics.nonfinite, extractor.name()),
                "name another extractor");
  }
  statistics.gaussian = sums.moments().gaussian();
  statistics.features = sums.features();
  statistics.images = sums.images();
  return statistics;
}

}  // namespace

FolderStatistics folder_statistics(JobContext& context, const FolderImages& wanted,
                                   const metrics::Extractor& extractor) {
  return context.read_folder(wanted.folder.string(),
                             [&] { return read_statistics(context, wanted, extractor); });
}

void write_statistics(const fs::path& file, const FolderStatistics& statistics,
                      const FolderImages& wanted, const metrics::Extractor& extractor) {
  const metrics::Gaussian& gaussian = statistics.gaussian;
  const auto number = [](const char* name, int64_t value, const char* meaning) {
    return record::make_array(name, {}, std::vector<int64_t>{value}, "", meaning);
  };
  std::vector<record::Array> arrays;
  arrays.push_back(to_array("mu", gaussian.mean, "", "mean of the features (F)"));
  arrays.push_back(
      to_array("sigma", gaussian.covariance, "", "unbiased covariance of the features (F, F)"));
  arrays.push_back(number("count", gaussian.count, "samples: images, or twice that with flips"));
  arrays.push_back(number("images", statistics.images, "images"));
  std::map<std::string, std::string> identity = {
      {"extractor", extractor.name()},
      {"extractor_sha256", extractor.sha256()},
      {"weights_sha256", extractor.weights_sha256()},
      {"extractor_input", extractor.input()},
      {"extractor_precision", metrics::to_string(extractor.precision())},
      {"resize", resize_identity(wanted.image_size)},
      {"flips", wanted.flips ? "each image and its mirror image" : "none"}};
  if (statistics.features.defined()) {
    arrays.push_back(
        to_array("features", statistics.features, "", "features of the first images (n, F)"));
    identity["features_kept"] = fmt::to_string(statistics.features.size(0));
  }
  record::write_datasets(file, arrays, identity);
}

Reference load_reference(JobContext& context, const fs::path& path, const std::string& layout,
                         const metrics::Extractor& extractor, int image_size) {
  if (!fs::is_directory(path) && !images::holds_images(path)) {
    const Reference read = context.inputs().read(path.string(), [&] {
      require_statistics_file(path);
      return checkpoint::statistics_kind(path) == checkpoint::StatisticsKind::kOther
                 ? read_own_file(path, extractor, image_size)
                 : read_foreign_file(context, path, extractor, image_size);
    });
    if (context.comm().first()) metrics::require_covariance(read.gaussian, path.string());
    return read;
  }
  // The folder's content was hashed when the job was planned; the cache is keyed by it.
  dist::Communicator& comm = context.comm();
  fs::path kept;
  std::optional<Reference> reference;
  if (comm.first()) {
    const std::string planned = context.content_of("reference", path.string());
    const std::string content =
        planned.empty() ? images::folder_content_hash(path, images::layout_from(layout)) : planned;
    const std::string key = short_hash(fmt::format(
        "{} {} {} {} {} {}", content, extractor.sha256(), extractor.input(),
        metrics::to_string(extractor.precision()), resize_identity(image_size), kKeptFeatures));
    kept = context.cache_folder() / ("statistics-" + key + ".h5");
    reference = read_kept(context, kept, extractor, image_size);
    if (reference) list_folder(context, path, layout);  // for its warnings
  }
  // Rank 0 alone looks at the cache, so that all ranks do the same whoever else writes to it.
  if (comm.broadcast(reference ? "kept" : "to be made") == "kept") {
    context.inputs().not_needed(path.string());
  } else {
    const FolderImages all{.folder = path,
                           .layout = layout,
                           .image_size = image_size,
                           .nonfinite_repair =
                               "make the statistics with fid_stats and `nonfinite: exclude`, and "
                               "name their file as `reference`"};
    const FolderStatistics statistics = folder_statistics(context, all, extractor);
    if (comm.first()) write_statistics(kept, statistics, all, extractor);
    reference = Reference{statistics.gaussian, statistics.features, ""};
  }
  if (!reference) reference = Reference{};
  reference->source = path.string();
  const at::Tensor mean = comm.first() ? reference->gaussian.mean : at::empty({0}, at::kDouble);
  reference->gaussian.mean = dist::unpack(comm.broadcast(dist::pack({{"mean", mean}}))).at("mean");
  return *reference;
}

}  // namespace tarflow::experiments
