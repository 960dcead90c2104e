#include "framework/schedule/smoke.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/error.h"
#include "framework/core/image_settings.h"
#include "framework/core/strategy.h"
#include "framework/core/trained.h"
#include "framework/images/png.h"
#include "framework/schedule/job.h"
#include "framework/sweep/made_files.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr int kPictures = 2 * kSmokeImages;
constexpr int64_t kSmokeSteps = 2;  // of a training; or epochs, if these are stated
constexpr uint64_t kSeed = 0;
constexpr int kPictureSize = 64;  // pixels, for experiments without a model

bool usable(const fs::path& checkpoint, ModelShape shape) {
  std::error_code ignored;
  if (!fs::exists(checkpoint, ignored)) return false;
  try {
    ModelShape found = checkpoint::open_tarflow(checkpoint).shape;
    found.noise_std = shape.noise_std;  // not in the tensors
    return found == shape;
  } catch (const Error&) {
    return false;
  }
}

// Colour waves, a different one for each index: smooth as photographs are, and never constant.
images::Image wave(int width, int height, int index) {
  images::Image image = images::blank(width, height, {0, 0, 0});
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double phase =
            2 * M_PI * ((index + 1.0) * x / width + (c + 1.0) * y / height) + index;
        image.row(y)[3 * x + c] = static_cast<uint8_t>(std::lround(127.5 * (1 + std::sin(phase))));
      }
    }
  }
  return image;
}

// A folder of pictures a little larger than the model's images and not square, so that resizing and
// cropping are run as well.
fs::path write_pictures(const fs::path& folder, int size) {
  const fs::path path = folder / "pictures" / fmt::format("{}px", size);
  for (int i = 0; i < kPictures; ++i) {
    images::write_png(path / fmt::format("wave_{}.png", i),
                      wave(size + size / 2, size + size / 4, i));
  }
  return path;
}

// What is replaced, said once each.
struct Replacements {
  std::set<std::string> untrained, pictures, dropped;
  std::vector<std::string> messages;

  void note(std::set<std::string>& kind, const std::string& name, const std::string& message) {
    if (kind.insert(name).second) messages.push_back(message);
  }
};

// Why points cannot run, each reason once.
struct LeftOut {
  std::set<std::string> reasons;
  std::vector<Problem> problems;
};

void replace_checkpoint(sweep::Model& model, const fs::path& folder, Replacements& replaced) {
  if (model.present) return;
  const fs::path path = folder / "untrained" / model.name / model.checkpoint.filename();
  if (!usable(path, model.shape)) {
    checkpoint::write_untrained(path, model.shape, kSeed, checkpoint::DType::kBFloat16);
  }
  replaced.note(
      replaced.untrained, model.name,
      fmt::format("model {}: {} is absent; an UNTRAINED checkpoint of its shape ({}) is used, "
                  "so all numbers and images are meaningless",
                  model.name, model.checkpoint.filename().string(), model.shape.str()));
  model.checkpoint = fs::absolute(path);
  model.weights.clear();  // the only ones in the file
  model.present = true;
}

int picture_size(const sweep::Sweep& sweep, const ExperimentSchema& schema,
                 const sweep::Settings& settings) {
  for (const Field& field : schema.fields) {
    if (field.type != FieldType::kModel || !settings.contains(field.name)) continue;
    return sweep.models.at(settings.at(field.name).get<std::string>()).shape.image_size;
  }
  return kPictureSize;
}

void replace_path(const sweep::Sweep& sweep, const ExperimentSchema& schema, const Field& field,
                  sweep::Settings& settings, const fs::path& folder, Replacements& replaced) {
  const std::string path = settings.at(field.name).get<std::string>();
  std::error_code ignored;
  if (fs::exists(path, ignored)) return;
  const std::string name = schema.name + "." + field.name;
  // A strategy whose guesses are to be chosen cannot do without the images that choose them.
  if (!field.required && field.name != kGuessImages) {
    settings.erase(field.name);
    if (field.file == FileKind::kReference) settings.erase(layout_setting_of(field.name));
    replaced.note(replaced.dropped, name,
                  fmt::format("{}: {} is absent; run without it", name, path));
    return;
  }
  if (field.name != "images" && field.file != FileKind::kImages) {
    throw Error(fmt::format("{} needs {}, which is absent and cannot be made up", name, path));
  }
  const fs::path pictures = write_pictures(folder, picture_size(sweep, schema, settings));
  settings.set(field.name, fs::absolute(pictures).string());
  // The made-up pictures lie in no class folders.
  settings.erase(layout_setting_of(field.name));
  const Json* labels = settings.find("labels");
  if (field.name == "images" && labels && *labels == "folder") settings.set("labels", "none");
  if (field.name == "images" && schema.name == kTrain) {
    settings.set("classes", int64_t{0});
    settings.set("drop_label", 0.0);
  }
  replaced.note(replaced.pictures, name,
                fmt::format("{}: {} is absent; SYNTHETIC pictures are used", name, path));
}

void clamp_count(const Field& field, sweep::Settings& settings) {
  const bool duration = field.name == "epochs" || field.name == "steps";
  if (field.type == FieldType::kInteger && duration) {
    settings.set(field.name, std::min(settings.at(field.name).get<int64_t>(), kSmokeSteps));
    return;
  }
  const bool count = field.name == "num_images" || field.name == "batch" ||
                     field.name == kGuessNumImages || field.name == "held_out_images";
  if (field.type != FieldType::kInteger || !count) return;
  const auto least = static_cast<int64_t>(std::ceil(field.minimum.value_or(0)));
  const int64_t most = std::max(kSmokeImages, least);
  const int64_t stated = settings.at(field.name).get<int64_t>();
  settings.set(field.name, stated == 0 ? most : std::min(stated, most));  // 0: all there are
}

// An extractor without what to compare with, and the reverse, are of no use.
void drop_halves(const ExperimentSchema& schema, sweep::Settings& settings) {
  const auto named = [&](FileKind kind) {
    return std::any_of(schema.fields.begin(), schema.fields.end(), [&](const Field& field) {
      return field.file == kind && settings.contains(field.name);
    });
  };
  if (named(FileKind::kExtractor) == named(FileKind::kReference)) return;
  for (const Field& field : schema.fields) {
    const bool half = field.file == FileKind::kExtractor || field.file == FileKind::kReference;
    if (!half || field.required) continue;
    settings.erase(field.name);
    if (field.file == FileKind::kReference) settings.erase(layout_setting_of(field.name));
  }
}

// The point with what is absent replaced, in `smoke`, `folder` and `replaced`; false, with the
// reason in `left_out`, when something cannot be.
bool replace_absent(sweep::Point& point, const ExperimentSchema& schema, Smoke& smoke,
                    const fs::path& folder, Replacements& replaced, LeftOut& left_out) {
  for (const Field& field : schema.fields) {
    if (!point.settings.contains(field.name)) continue;
    clamp_count(field, point.settings);
    if (field.type == FieldType::kModel) {
      const std::string model = point.settings.at(field.name).get<std::string>();
      replace_checkpoint(smoke.sweep.models.at(model), folder, replaced);
    } else if (field.type == FieldType::kPath) {
      try {
        replace_path(smoke.sweep, schema, field, point.settings, folder, replaced);
      } catch (const Error& error) {
        if (left_out.reasons.insert(error.problems().front().what).second) {
          left_out.problems.push_back(error.problems().front());
        }
        return false;
      }
    }
  }
  drop_halves(schema, point.settings);
  // What is made of two images must not take the place of what others rely on.
  point.settings.erase(sweep::kOutput);
  return true;
}

}  // namespace

Smoke make_smoke(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                 const fs::path& folder) {
  Smoke smoke{sweep, {}, {}};
  smoke.sweep.name += "-smoke";
  smoke.sweep.missing.clear();
  smoke.sweep.makers.clear();
  smoke.sweep.points.clear();
  Replacements replaced;
  LeftOut left_out;
  std::set<std::string> ids;
  for (sweep::Point point : sweep.points) {
    const ExperimentSchema& schema = schema_of(schemas, point.experiment);
    if (!replace_absent(point, schema, smoke, folder, replaced, left_out)) continue;
    point.id = sweep::point_id(schema, point.settings);
    if (ids.insert(point.id).second) smoke.sweep.points.push_back(std::move(point));
  }
  if (smoke.sweep.points.empty() && !left_out.problems.empty()) throw Error(left_out.problems);
  smoke.replaced = {{"num_images", kSmokeImages},
                    {"untrained", replaced.untrained},
                    {"pictures", replaced.pictures},
                    {"dropped", replaced.dropped}};
  smoke.messages = std::move(replaced.messages);
  for (const Problem& problem : left_out.problems)
    smoke.messages.push_back(problem.what + "; its points are left out");
  return smoke;
}

}  // namespace tarflow::schedule
