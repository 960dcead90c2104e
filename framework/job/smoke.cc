#include "framework/job/smoke.h"

#include <fmt/format.h>

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
#include "framework/job/job.h"
#include "framework/job/progress.h"
#include "framework/sweep/made_files.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr int kPictures = 2 * kSmokeImages;
constexpr int64_t kSmokeSteps = 2;  // of a training; or epochs, if these are stated
constexpr uint64_t kSeed = 0;
constexpr int kPictureSize = 64;  // pixels, for experiments without a model

// Of a device with two images at once, roughly.
struct Pace {
  double start = 0;  // seconds until a job begins, and to write its results
  double layer = 0;  // seconds of a layer's evaluation that is as short as can be
  double flops = 0;  // per second of a long one
};
constexpr Pace kCpuPace{3, 1.2e-4, 3e10}, kGpuPace{8, 4e-5, 5e12};

// What a strategy takes at most.
struct Evaluations {
  double count = 0, passes = 0;  // of blocks; of all tokens of a block
  Evaluations& operator+=(const Evaluations& other) {
    count += other.count;
    passes += other.passes;
    return *this;
  }
};

Evaluations evaluations_of(const Strategy& strategy, int64_t tokens) {
  Evaluations all;
  for (const BlockPlan& plan : strategy.blocks) {
    const double longest =
        static_cast<double>(std::max<int64_t>(1, longest_evaluation(plan, tokens)));
    all += {most_passes(plan) * static_cast<double>(tokens) / longest, most_passes(plan)};
  }
  return all;
}

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

fs::path picture_file(const fs::path& folder, int index) {
  return folder / fmt::format("wave_{}.png", index);
}

// Pictures a little larger than the model's images and not square, so that resizing and cropping
// are run as well.
void write_pictures(const fs::path& folder, int size) {
  for (int i = 0; i < kPictures; ++i) {
    images::write_png(picture_file(folder, i), wave(size + size / 2, size + size / 4, i));
  }
}

// What is replaced, said once each.
struct Replacements {
  Writes writes = Writes::kYes;
  bool told = true;  // false for points that are not selected: what they lack is of no interest
  std::set<std::string> untrained, small, pictures, dropped;
  std::vector<std::string> messages;
  std::map<fs::path, std::string> unwritten;  // as in Smoke

  void note(std::set<std::string>& kind, const std::string& name, const std::string& message) {
    if (kind.insert(name).second && told) messages.push_back(message);
  }
};

// Why points cannot run, each reason once.
struct LeftOut {
  std::set<std::string> reasons;
  std::vector<Problem> problems;
};

// Everything that a strategy may name stays: tokens and blocks.
ModelShape small_shape(ModelShape shape) {
  shape.channels = kHeadWidth;
  shape.layers = 1;
  return shape;
}

void replace_checkpoint(sweep::Model& model, const fs::path& folder, StandIn stand_in,
                        Replacements& replaced) {
  if (model.present) return;
  const ModelShape full = model.shape;
  if (stand_in == StandIn::kSmall) model.shape = small_shape(full);
  const bool small = model.shape != full;
  // The name of the absent file states its shape.
  const fs::path name = small ? "small.pth" : model.checkpoint.filename();
  const fs::path path = folder / "untrained" / model.name / name;
  if (!usable(path, model.shape)) {
    if (replaced.writes == Writes::kYes) {
      checkpoint::write_untrained(path, model.shape, kSeed, checkpoint::DType::kBFloat16);
    } else {
      replaced.unwritten[fs::absolute(path)] = "untrained " + model.shape.str();
    }
  }
  if (small) replaced.small.insert(model.name);
  replaced.note(
      replaced.untrained, model.name,
      fmt::format(
          "model {}: {} is absent; an UNTRAINED {} is used, so all numbers, times and "
          "images are meaningless",
          model.name, model.checkpoint.filename().string(),
          small ? fmt::format("small checkpoint ({} instead of {})", model.shape.str(), full.str())
                : fmt::format("checkpoint of its shape ({})", full.str())));
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
  const int size = picture_size(sweep, schema, settings);
  const fs::path pictures = fs::absolute(folder / "pictures" / fmt::format("{}px", size));
  if (replaced.writes == Writes::kYes) {
    write_pictures(pictures, size);
  } else if (!fs::exists(picture_file(pictures, kPictures - 1), ignored)) {
    replaced.unwritten[pictures] = fmt::format("pictures of {} pixels", size);
  }
  settings.set(field.name, pictures.string());
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
                    const fs::path& folder, StandIn stand_in, Replacements& replaced,
                    LeftOut& left_out) {
  for (const Field& field : schema.fields) {
    if (!point.settings.contains(field.name)) continue;
    clamp_count(field, point.settings);
    if (field.type == FieldType::kModel) {
      const std::string model = point.settings.at(field.name).get<std::string>();
      replace_checkpoint(smoke.sweep.models.at(model), folder, stand_in, replaced);
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

std::string smoke_name(const std::string& sweep) { return sweep + "-smoke"; }

Smoke make_smoke(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
                 const fs::path& folder, StandIn stand_in, Writes writes) {
  Smoke smoke{sweep, {}, {}};
  smoke.sweep.name = smoke_name(sweep.name);
  smoke.sweep.missing.clear();
  smoke.sweep.makers.clear();
  smoke.sweep.points.clear();
  Replacements replaced;
  replaced.writes = writes;
  LeftOut left_out, untold;
  std::vector<sweep::Point> points = sweep.points;
  std::vector<bool> possible(points.size());
  for (const bool selected : {true, false}) {  // what both need is told
    replaced.told = selected;
    for (size_t i = 0; i < points.size(); ++i) {
      if (points[i].selected != selected) continue;
      possible[i] = replace_absent(points[i], schema_of(schemas, points[i].experiment), smoke,
                                   folder, stand_in, replaced, selected ? left_out : untold);
    }
  }
  std::set<std::string> ids;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!possible[i]) continue;
    points[i].id = sweep::point_id(schema_of(schemas, points[i].experiment), points[i].settings);
    if (ids.insert(points[i].id).second) smoke.sweep.points.push_back(std::move(points[i]));
  }
  if (smoke.sweep.points.empty() && !left_out.problems.empty()) throw Error(left_out.problems);
  smoke.replaced = {{"num_images", kSmokeImages},
                    {"untrained", replaced.untrained},
                    {"small", replaced.small},
                    {"pictures", replaced.pictures},
                    {"dropped", replaced.dropped}};
  smoke.messages = std::move(replaced.messages);
  smoke.unwritten = std::move(replaced.unwritten);
  for (const Problem& problem : left_out.problems)
    smoke.messages.push_back(problem.what + "; its points are left out");
  return smoke;
}

std::string smoke_banner(const Smoke& smoke, const fs::path& results) {
  std::string text =
      fmt::format("*** SMOKE RUN of {}: at most {} images per point, results in {} ***\n",
                  smoke.sweep.name, kSmokeImages, (results / smoke.sweep.name).string());
  for (const std::string& message : smoke.messages) text += fmt::format("*** {} ***\n", message);
  return text;
}

double smoke_seconds(const Jobs& jobs, const ExperimentSchemas& schemas, bool cpu) {
  const Pace pace = cpu ? kCpuPace : kGpuPace;
  double seconds = 0;
  for (const Job& job : jobs) {
    seconds += pace.start;
    if (job.model.is_null()) continue;
    const ModelShape shape = shape_from_json(job.model.at("shape"));
    const Work work = schema_of(schemas, job.experiment).work;
    const Json* cfg = job.settings.find("cfg");
    const double rows =
        static_cast<double>(kSmokeImages) * (cfg && cfg->is_number() && *cfg > 0 ? 2 : 1);
    Evaluations all;
    if (const Json* strategy = job.settings.find("strategy"))
      all = evaluations_of(strategy_from_json(*strategy), shape.tokens());
    for (const JobPoint& point : job.points) {
      if (const Json* own = point.settings.find("strategy"))
        all += evaluations_of(strategy_from_json(*own), shape.tokens());
    }
    if (all.count == 0) all = {double(shape.blocks), double(shape.blocks)};  // a forward pass
    // The first chunk is sampled twice, once to warm up.
    const double times = work == Work::kSampling ? 2 : 1;
    const double flops =
        rows * all.passes * shape.tokens() * shape.block_flops_per_token(shape.tokens() / 2.0);
    seconds += times * (all.count * shape.layers * pace.layer + flops / pace.flops);
  }
  return seconds;
}

std::string smoke_time_text(const Jobs& jobs, const ExperimentSchemas& schemas, bool cpu) {
  return fmt::format("will take roughly {} ({} {})",
                     duration(std::round(smoke_seconds(jobs, schemas, cpu))), jobs.size(),
                     jobs.size() == 1 ? "job" : "jobs");
}

}  // namespace tarflow::job
