#include "framework/job/file_facts.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <memory>

#include "framework/checkpoint/statistics.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/images/batch_file.h"
#include "framework/images/folder.h"
#include "framework/job/content.h"
#include "framework/process/command.h"
#include "framework/record/dataset_file.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr size_t kHashBytes = 32;  // of a SHA-256

// The number at the end of "PIL bilinear antialiased, centre crop 256", 0 when there is none.
int64_t last_number(const std::string& text) {
  const std::string word = text.substr(text.find_last_of(' ') + 1);
  int64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

std::optional<sweep::ReferenceFacts> facts_of_statistics(const fs::path& file) {
  std::error_code failed;
  if (!fs::is_regular_file(file, failed)) return std::nullopt;
  try {
    sweep::ReferenceFacts facts;
    if (checkpoint::statistics_kind(file) != checkpoint::StatisticsKind::kOther) {
      facts.features = checkpoint::statistics_width(file);
      return facts;
    }
    facts.extractor = record::read_root_attribute(file, "extractor_sha256");
    // The same weights may come in another file, which the job itself compares.
    const std::string weights = record::read_root_attribute(file, "weights_sha256");
    if (!weights.empty() && weights != facts.extractor) facts.extractor.clear();
    facts.image_size = last_number(record::read_root_attribute(file, "resize"));
    const record::Array mean = record::read_dataset(file, "mu");
    if (mean.shape.size() == 1) facts.features = mean.shape[0];
    return facts;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Each folder is listed once for all experiments that name it with the same layout.
class ListedImages {
 public:
  std::optional<sweep::ImageFacts> facts(const fs::path& path, FileKind kind,
                                         const std::string& layout) {
    std::error_code failed;
    const bool holds_images = fs::is_directory(path, failed) || images::holds_images(path);
    if (kind == FileKind::kReference && !holds_images) return std::nullopt;
    const auto [known, fresh] = known_.try_emplace({path.string(), layout});
    if (fresh) {
      try {
        const images::ImageFolder found = images::list_images(path, images::layout_from(layout));
        known->second = {found.broken, images::warnings_of(found),
                         static_cast<int64_t>(found.files.size()),
                         static_cast<int64_t>(found.classes.size()), !found.batches.empty()};
      } catch (...) {
        known_.erase(known);
        throw;
      }
    }
    return known->second;
  }

 private:
  std::map<std::pair<std::string, std::string>, sweep::ImageFacts> known_;
};

// The widths of extractors, by "sha256 image_size" in probes.json.
class Probes {
 public:
  Probes(fs::path worker, const fs::path& cache)
      : worker_(std::move(worker)), file_(cache / "probes.json"), hasher_(cache) {
    std::error_code ignored;
    try {
      if (fs::exists(file_, ignored)) known_ = read_json_file(file_);
    } catch (const Error&) {
      // Damaged: asked again.
    }
    if (!known_.is_object()) known_ = Json::object();
  }

  std::string sha256(const fs::path& file) {
    const std::string hash = hasher_.hash(file);
    hasher_.save();
    return hash;
  }

  std::optional<int64_t> features(const fs::path& extractor, int64_t image_size) {
    try {
      const std::string key = fmt::format("{} {}", sha256(extractor), image_size);
      if (!known_.contains(key)) {
        const Json answer = Json::parse(
            process::output_of({worker_.string(), "--probe-extractor", extractor.string(),
                                "--image-size", fmt::format("{}", image_size)},
                               std::chrono::minutes(10)));
        known_[key] = answer.at("features").get<int64_t>();
        write_json_file(file_, known_);
      }
      return known_.at(key).get<int64_t>();
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }

 private:
  fs::path worker_, file_;
  ContentHasher hasher_;
  Json known_ = Json::object();
};

// SHA-256 of each model that a training made, as numbers; nothing for a result that is none.
std::vector<double> models_of(const fs::path& result, const std::string& job) {
  try {
    return record::to_doubles(
        record::read_dataset(result, fmt::format("jobs/{}/checkpoints/sha256", job)));
  } catch (const Error&) {
    return {};
  }
}

// Whether the file's SHA-256 is one of them.
bool is_model_of(const fs::path& file, const std::vector<double>& models,
                 const fs::path& cache_folder) {
  ContentHasher hasher(cache_folder);
  const std::string hash = hasher.hash(file);
  hasher.save();
  for (size_t first = 0; first + kHashBytes <= models.size(); first += kHashBytes) {
    std::string known;
    for (size_t i = 0; i < kHashBytes; ++i)
      known += fmt::format("{:02x}", static_cast<int>(models[first + i]));
    if (known == hash) return true;
  }
  return false;
}

}  // namespace

bool holds_what_was_made(const fs::path& file, const fs::path& result, const std::string& job,
                         const fs::path& cache_folder) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return false;
  if (const std::vector<double> models = models_of(result, job); !models.empty())
    return is_model_of(file, models, cache_folder);
  std::vector<double> expected;
  try {
    expected =
        record::to_doubles(record::read_dataset(result, fmt::format("jobs/{}/statistics/mu", job)));
  } catch (const Error&) {
    return true;  // no statistics: nothing to tell a file of it by
  }
  try {
    return record::to_doubles(record::read_dataset(file, "mu")) == expected;
  } catch (const Error&) {
    return false;
  }
}

bool put_model_back(const fs::path& file, const fs::path& result, const std::string& job,
                    const fs::path& cache_folder) {
  const fs::path kept = result.parent_path() / file.filename();
  std::error_code failed;
  if (fs::exists(fs::symlink_status(file, failed)) || !fs::is_regular_file(kept, failed))
    return false;
  const std::vector<double> models = models_of(result, job);
  if (models.empty() || !is_model_of(kept, models, cache_folder)) return false;
  try {
    fs::create_directories(file.parent_path());
    write_aside(file, [&](const fs::path& aside) {
      fs::copy_file(kept, aside, fs::copy_options::overwrite_existing);
    });
  } catch (const std::exception&) {
    return false;  // the training, which writes it as well, will say why
  }
  return true;
}

sweep::FileFacts file_facts(const fs::path& worker, const fs::path& cache_folder) {
  const auto probes = std::make_shared<Probes>(worker, cache_folder);
  return {facts_of_statistics,
          [probes](const fs::path& file, int64_t size) { return probes->features(file, size); },
          [probes](const fs::path& file) { return probes->sha256(file); },
          [listed = std::make_shared<ListedImages>()](const fs::path& path, FileKind kind,
                                                      const std::string& layout) {
            return listed->facts(path, kind, layout);
          }};
}

}  // namespace tarflow::job
