#include "experiments/reference.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/images/folder.h"
#include "framework/metrics/features.h"
#include "framework/record/dataset_file.h"

namespace tarflow::experiments {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBatch = 128;  // images an extractor sees at once

// The resize that images went through before the extractor: part of what makes statistics
// comparable.
std::string resize_identity(int image_size) {
  return fmt::format("PIL bilinear antialiased, centre crop {}", image_size);
}

void require_same(const fs::path& file, const std::string& attribute, const std::string& expected) {
  const std::string found = record::read_root_attribute(file, attribute);
  if (found == expected) return;
  throw Error(fmt::format("{} was made with {} `{}`, this job uses `{}`", file.string(), attribute,
                          found, expected),
              "make the statistics anew with the experiment fid_stats");
}

metrics::Gaussian read_statistics(const fs::path& file, const metrics::Extractor& extractor,
                                  int image_size) {
  require_same(file, "extractor_sha256", extractor.sha256());
  require_same(file, "resize", resize_identity(image_size));
  metrics::Gaussian gaussian;
  gaussian.mean = to_tensor(record::read_dataset(file, "mu")).to(at::kDouble);
  gaussian.covariance = to_tensor(record::read_dataset(file, "sigma")).to(at::kDouble);
  gaussian.count =
      static_cast<int64_t>(record::to_doubles(record::read_dataset(file, "count")).at(0));
  const int64_t features = gaussian.mean.numel();
  if (gaussian.mean.dim() != 1 ||
      gaussian.covariance.sizes() != at::IntArrayRef({features, features})) {
    throw Error(fmt::format("{} does not hold mu (F) and sigma (F, F)", file.string()));
  }
  return gaussian;
}

}  // namespace

int64_t log_unreadable(JobContext& context, const std::vector<images::UnreadableFile>& files) {
  for (const images::UnreadableFile& file : files) {
    context.log(fmt::format("left out: {}: {}", file.path.string(), file.reason));
  }
  return static_cast<int64_t>(files.size());
}

metrics::Gaussian folder_statistics(JobContext& context, const FolderImages& wanted,
                                    const metrics::Extractor& extractor, int64_t* unreadable) {
  const images::ImageFolder listed = images::list_images(wanted.folder);
  const std::vector<images::ImageFile> files =
      wanted.num_images > 0 ? images::select_balanced(listed, wanted.num_images) : listed.files;
  images::LoadOptions load;
  load.size = wanted.image_size;
  load.max_unreadable = wanted.max_unreadable;
  load.threads = at::get_num_threads();
  context.log(fmt::format("features of {} images of {}", files.size(), wanted.folder.string()));
  const int64_t total = static_cast<int64_t>(files.size());
  const auto after_batch = [&](int64_t done) {
    context.progress("features", done, total);
    if (done < total) context.stop_if_requested();
  };
  after_batch(0);
  const metrics::FolderMoments result =
      metrics::moments_of_files(files, load, extractor, kBatch, after_batch);
  const int64_t left_out = log_unreadable(context, result.unreadable);
  if (unreadable) *unreadable = left_out;
  return result.moments.gaussian();
}

void write_statistics(const fs::path& file, const metrics::Gaussian& gaussian,
                      const metrics::Extractor& extractor, int image_size) {
  std::vector<record::Array> arrays;
  arrays.push_back(to_array("mu", gaussian.mean, "", "mean of the features (F)"));
  arrays.push_back(
      to_array("sigma", gaussian.covariance, "", "unbiased covariance of the features (F, F)"));
  arrays.push_back(
      record::make_array("count", {}, std::vector<int64_t>{gaussian.count}, "", "images"));
  record::write_datasets(file, arrays,
                         {{"extractor", extractor.name()},
                          {"extractor_sha256", extractor.sha256()},
                          {"resize", resize_identity(image_size)}});
}

Reference load_reference(JobContext& context, const fs::path& path,
                         const metrics::Extractor& extractor, int image_size) {
  if (!fs::is_directory(path))
    return {read_statistics(path, extractor, image_size), {}, path.string()};
  // The folder's content was hashed when the job was planned; the cache is keyed by it.
  const std::string planned = context.content_of("reference", path.string());
  const std::string content = planned.empty() ? images::folder_content_hash(path) : planned;
  const std::string key = short_hash(content + extractor.sha256() + resize_identity(image_size));
  const fs::path kept =
      context.folder().parent_path().parent_path() / "cache" / ("statistics-" + key + ".h5");
  if (fs::exists(kept)) {
    try {
      return {read_statistics(kept, extractor, image_size), {}, path.string()};
    } catch (const Error& failure) {
      context.log(fmt::format("the cached statistics are not usable and are made anew: {}",
                              failure.what()));
    }
  }
  const FolderImages all{path, image_size, 0, 0};
  const metrics::Gaussian gaussian = folder_statistics(context, all, extractor, nullptr);
  write_statistics(kept, gaussian, extractor, image_size);
  return {gaussian, {}, path.string()};
}

}  // namespace tarflow::experiments
