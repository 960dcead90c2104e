#include "framework/sweep/models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdint>
#include <set>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/model_filename.h"
#include "framework/core/trained.h"
#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace {

constexpr const char* kColours = "colours";  // 3 unless something else is said

// The integer parts of a shape: key, member, and what values are possible at all.
struct Part {
  const char* key;
  int ModelShape::*member;
  int64_t minimum, maximum;
};
constexpr std::array<Part, 7> kParts{{{"image_size", &ModelShape::image_size, 1, 16384},
                                      {"patch_size", &ModelShape::patch_size, 1, 16384},
                                      {"channels", &ModelShape::channels, kHeadWidth, 65536},
                                      {"blocks", &ModelShape::blocks, 1, 1024},
                                      {"layers", &ModelShape::layers, 1, 1024},
                                      {"classes", &ModelShape::classes, 0, 1'000'000},
                                      {kColours, &ModelShape::colours, 1, 3}}};

// A shape of which parts are known, by key, and who says so.
struct Known {
  ModelShape shape;
  std::set<std::string> keys;
};

// What the YAML entry states.
Known read_stated(const Node& map, Report& report) {
  Known stated;
  for (const Part& part : kParts) {
    const Entry* entry = map.find(part.key);
    if (!entry) continue;
    const auto value = read_integer(*entry->value, part.key, {part.minimum, part.maximum}, report);
    if (!value) continue;
    stated.shape.*part.member = static_cast<int>(*value);
    stated.keys.insert(part.key);
  }
  if (const Entry* entry = map.find("noise_std")) {
    if (const auto value = read_number(*entry->value, "noise_std", {0.0, {}}, report)) {
      stated.shape.noise_std = *value;
      stated.keys.insert("noise_std");
    }
  }
  return stated;
}

// What DATASET_model_P_C_K_L_EPS.pth says.
Known read_file_name(const std::filesystem::path& path) {
  const auto name = parse_model_filename(path);
  if (!name) return {};
  Known known;
  known.shape.patch_size = name->patch_size;
  known.shape.channels = name->channels;
  known.shape.blocks = name->blocks;
  known.shape.layers = name->layers;
  known.shape.noise_std = name->noise_std;
  known.keys = {"patch_size", "channels", "blocks", "layers", "noise_std"};
  return known;
}

// Takes over what `other` knows; a part that both know must be equal: else it is reported at the
// YAML's value.
void agree(Known& stated, const Known& other, const std::string& who, const Node& map,
           Report& report) {
  const auto contradiction = [&](const char* key, auto ours, auto theirs) {
    report.error(map.find(key)->value->mark,
                 fmt::format("`{}` is {}, but {} says {}", key, ours, who, theirs),
                 "remove the line, or name the right checkpoint");
  };
  for (const Part& part : kParts) {
    if (!other.keys.contains(part.key)) continue;
    const int theirs = other.shape.*part.member;
    if (!stated.keys.insert(part.key).second && stated.shape.*part.member != theirs) {
      contradiction(part.key, stated.shape.*part.member, theirs);
    }
    stated.shape.*part.member = theirs;
  }
  if (!other.keys.contains("noise_std")) return;
  if (!stated.keys.insert("noise_std").second && stated.shape.noise_std != other.shape.noise_std) {
    contradiction("noise_std", stated.shape.noise_std, other.shape.noise_std);
  }
  stated.shape.noise_std = other.shape.noise_std;
}

// Takes over what a checkpoint that is there says: its tensors everything but the noise level,
// which its name tells.
void read_file(const Node& map, Known& stated, ModelEntry& entry, Report& report) {
  const std::filesystem::path& path = entry.model.checkpoint;
  const Entry* weights = map.find("weights");
  Mark mark = weights ? weights->value->mark : entry.mark;
  try {
    const auto file = checkpoint::Checkpoint::open(path);
    const checkpoint::FoundState state = checkpoint::find_state(file, entry.model.weights);
    entry.model.weights = state.weights;
    mark = entry.mark;
    const ModelShape shape = checkpoint::read_model_shape(state.tensors);
    Known known{shape, {}};
    for (const Part& part : kParts) known.keys.insert(part.key);
    agree(stated, known, "the checkpoint", map, report);
    stated.shape.volume_preserving = shape.volume_preserving;
    const auto name = parse_model_filename(path);
    if (shape.noise_std > 0 || (name && name->uniform))
      agree(stated, {shape, {"noise_std"}}, "the file's name", map, report);
    checkpoint::check_name(path, shape);
    checkpoint::check_state(state.tensors, shape);
  } catch (const Error& failure) {
    report.error(mark, failure.what());  // a list of tensors, perhaps: one problem
  }
}

// A shape that is not read from tensors may be one that no model can have.
void require_possible(const Known& known, const Node& map, Mark mark, Report& report) {
  const auto at = [&](const char* key) {
    return map.find(key) ? map.find(key)->value->mark : mark;
  };
  const ModelShape& shape = known.shape;
  for (const Part& part : kParts) {
    const int value = shape.*part.member;
    if (!known.keys.contains(part.key) || (value >= part.minimum && value <= part.maximum))
      continue;
    report.error(
        at(part.key),
        fmt::format("`{}` is {}, not within {} to {}", part.key, value, part.minimum, part.maximum),
        "state it as the model was trained");
    return;
  }
  if (shape.colours == 2) {
    report.error(at(kColours), "images have 3 colours, or 1 if grey, not 2",
                 "state it as the model was trained");
  }
  if (known.keys.contains("channels") && shape.channels % kHeadWidth != 0) {
    report.error(at("channels"),
                 fmt::format("{} channels are not a multiple of {}", shape.channels, kHeadWidth),
                 fmt::format("a head has {} channels", kHeadWidth));
  }
  if (known.keys.contains("image_size") && known.keys.contains("patch_size") &&
      shape.image_size % shape.patch_size != 0) {
    report.error(at("image_size"),
                 fmt::format("images of {} pixels do not divide into patches of {}",
                             shape.image_size, shape.patch_size),
                 "state both as the model was trained");
  }
}

void set_shape(const Known& known, ModelEntry& entry) {
  entry.model.shape = known.shape;
  for (const Part& part : kParts) {
    if (!known.keys.contains(part.key) && std::string_view(part.key) != kColours)
      entry.unknown.push_back(part.key);
  }
  if (!known.keys.contains("noise_std")) entry.unknown.push_back("noise_std");
}

// A model whose weights are drawn: what is not stated the name of a checkpoint tells, if one is
// named; the file is not looked for.
void read_random(const Entry* checkpoint, const Node& map, Known& known, ModelEntry& entry,
                 Report& report) {
  if (const Entry* weights = map.find("weights")) {
    report.error(weights->mark, "`weights` chooses from a checkpoint, but random weights are drawn",
                 "remove `weights` or `random_weights`");
  }
  if (checkpoint) {
    const auto written = read_text(*checkpoint->value, "checkpoint", report);
    if (!written) return;
    agree(known, read_file_name(*written), "the file's name", map, report);
  }
  require_possible(known, map, entry.mark, report);
  entry.model.present = true;
  set_shape(known, entry);
}

constexpr const char* kTrainedBy = "trained_by";
constexpr const char* kAveraged = "ema";  // `weights` of a model that is trained_by an experiment

// The training called `name`; nullptr after reporting why there is not one.
const Point* find_training(const Entry& entry, const std::string& name,
                           const std::vector<Point>& trainings, Report& report) {
  const Point* found = nullptr;
  std::vector<std::string> names;
  for (const Point& point : trainings) {
    names.push_back(trained(point.settings.json()).name);
    if (names.back() != name) continue;
    if (found) {
      report.error(entry.value->mark,
                   fmt::format("several points of `train` have the name `{}`", name),
                   "give each a `name` of its own");
      return nullptr;
    }
    found = &point;
  }
  if (!found) {
    report.error(entry.value->mark,
                 fmt::format("no experiment `train` of this sweep has the name `{}`", name),
                 names.empty()
                     ? fmt::format("add `- train: {{name: {}, ...}}` below `experiments:`", name)
                     : did_you_mean(name, names));
  }
  return found;
}

// A model that an experiment of the sweep makes: the experiment tells its shape and its file.
void read_trained(const Entry& by, const Node& map, Known& known,
                  const std::optional<std::vector<Point>>& trainings, ModelEntry& entry,
                  Report& report) {
  for (const char* other : {"checkpoint", "random_weights", "published"}) {
    if (const Entry* stated = map.find(other)) {
      report.error(stated->mark,
                   fmt::format("`{}` and `trained_by`: the model comes from one of them", other),
                   "remove one");
    }
  }
  const auto name = read_text(*by.value, kTrainedBy, report);
  const Point* point = name && trainings ? find_training(by, *name, *trainings, report) : nullptr;
  if (!point) return;
  const Trained made = trained(point->settings.json());
  bool averaged = false;
  if (const Entry* weights = map.find("weights")) {
    const auto text = read_text(*weights->value, "weights", report);
    averaged = text == kAveraged && made.averaged;
    if (text && !averaged) {
      report.error(weights->value->mark,
                   fmt::format("the training `{}` makes no weights `{}`", *name, *text),
                   made.averaged ? "valid: ema"
                                 : "state `ema: 0.9999` in the training, or remove `weights`");
    }
  }
  if (made.folder.empty()) {
    report.error(by.value->mark,
                 fmt::format("the training `{}` does not say where its model goes", *name),
                 "add `output: models` to the training");
    return;
  }
  std::set<std::string> keys = {"noise_std"};
  for (const Part& part : kParts) keys.insert(part.key);
  agree(known, {made.shape, std::move(keys)}, "the training", map, report);
  known.shape.volume_preserving = made.shape.volume_preserving;
  entry.mark = by.value->mark;
  entry.written = *name;
  entry.model.checkpoint =
      std::filesystem::absolute(made.folder / (averaged ? made.averaged_file() : made.file()))
          .lexically_normal();
  entry.model.trained = true;
  std::error_code ignored;
  entry.model.present = std::filesystem::exists(entry.model.checkpoint, ignored);
  set_shape(known, entry);
}

ModelEntry read_model(const Entry& entry, const std::optional<std::vector<Point>>& trainings,
                      Report& report) {
  ModelEntry result;
  result.model.name = entry.key;
  result.model.place = report.sources.problem(entry.mark, "").place;
  result.mark = entry.mark;
  const size_t errors_before = report.errors.size();
  const Node& map = *entry.value;
  if (!read_map(map, entry.key, report)) return result;
  std::vector<std::string> keys = {"checkpoint", "weights",   "random_weights",
                                   "published",  "noise_std", kTrainedBy};
  for (const Part& part : kParts) keys.push_back(part.key);
  require_keys(map, "a model", keys, report);
  if (const Entry* published = map.find("published")) {
    result.model.published = read_text(*published->value, "published", report).value_or("");
  }
  Known known = read_stated(map, report);
  const Entry* checkpoint = map.find("checkpoint");
  const Entry* random = map.find("random_weights");
  if (const Entry* by = map.find(kTrainedBy)) {
    read_trained(*by, map, known, trainings, result, report);
    result.sound = result.model.trained && report.errors.size() == errors_before;
    return result;
  }
  if (random) {
    result.model.random_weights =
        read_integer(*random->value, "random_weights", {0, INT64_MAX}, report);
    if (!result.model.random_weights) return result;
  }
  if (!checkpoint && !random) {
    if (report.incomplete) return result;
    report.error(entry.mark, fmt::format("the model `{}` has no `checkpoint`", entry.key),
                 "name its .pth file, or state `random_weights: 0` and its shape, or "
                 "`trained_by: NAME` of an experiment `train`");
    return result;
  }
  if (random) {
    read_random(checkpoint, map, known, result, report);
    result.sound = report.errors.size() == errors_before;
    return result;
  }
  const auto written = read_text(*checkpoint->value, "checkpoint", report);
  if (!written) return result;
  if (const Entry* weights = map.find("weights")) {
    result.model.weights = read_text(*weights->value, "weights", report).value_or("");
  }
  result.mark = checkpoint->value->mark;
  result.written = *written;
  result.found = find_path(*written, *report.sources.at(result.mark).folders);
  result.model.checkpoint = result.found.path;
  result.model.present = result.found.present;
  if (result.found.present) {
    read_file(map, known, result, report);
  } else {
    agree(known, read_file_name(result.found.path), "the file's name", map, report);
    require_possible(known, map, result.mark, report);
  }
  set_shape(known, result);
  result.sound = report.errors.size() == errors_before;
  return result;
}

}  // namespace

std::optional<FlowSize> ModelEntry::flow() const {
  if (!sound) return std::nullopt;
  const ModelShape& shape = model.shape;
  if (shape.blocks < 1 || shape.image_size < 1 || shape.patch_size < 1) return std::nullopt;
  return FlowSize{shape.blocks, shape.tokens()};
}

std::map<std::string, ModelEntry> read_models(const Node* models,
                                              const std::optional<std::vector<Point>>& trainings,
                                              Report& report) {
  std::map<std::string, ModelEntry> result;
  if (!models || !read_map(*models, "models", report)) return result;
  for (const Entry& entry : models->entries)
    result.emplace(entry.key, read_model(entry, trainings, report));
  return result;
}

std::string where_to_get(const std::string& published, const FoundPath& absent) {
  std::string text = absent.near.empty() ? "" : fmt::format("did you mean `{}`? ", absent.near);
  if (!published.empty()) text += fmt::format("published by {}; ", published);
  return text + (absent.looked_in.empty() ? "put it there"
                                          : fmt::format("put it into one of {}", absent.looked_in));
}

void require_model(const ModelEntry& entry, bool allow_missing, Report& report) {
  if (!entry.sound) return;  // already reported
  const Model& model = entry.model;
  if (model.trained) return;  // all is known, and the file will be there
  if (!model.present) {
    const std::string name = fmt::format("the checkpoint of model `{}`", model.name);
    std::string repair = where_to_get(model.published, entry.found);
    if (entry.unknown.empty() || !allow_missing)
      return report.miss(entry.mark, model.name, name, entry.written, repair);
    // That the file is missing is what the user has to know first: its shape may be on no mind.
    for (const std::string& part : entry.unknown)
      repair += fmt::format(
          "{} `{}: ...`", &part == &entry.unknown.front() ? "; to plan without the file, add" : ",",
          part);
    return report.error(entry.mark, fmt::format("{} is missing: {}", name, entry.written), repair);
  }
  if (!entry.unknown.empty()) {
    report.error(entry.mark,
                 fmt::format("model `{}`: {} {}", model.name,
                             model.random_weights ? "random weights need"
                                                  : "neither the checkpoint nor its name states",
                             fmt::join(entry.unknown, ", ")),
                 fmt::format("add `{}: ...` to the model", entry.unknown.front()));
  }
}

}  // namespace tarflow::sweep
