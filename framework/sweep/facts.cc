#include "framework/sweep/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>

#include "framework/checkpoint/zip_archive.h"
#include "framework/core/file_kind.h"
#include "framework/core/image_settings.h"

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

constexpr size_t kShownHash = 12;  // characters of a SHA-256 in messages

std::optional<size_t> field_of(const ExperimentSchema& schema, FileKind kind) {
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const Field& field = schema.fields[i];
    if (field.type == FieldType::kPath && field.file == kind) return i;
  }
  return std::nullopt;
}

std::optional<size_t> index_of(const ExperimentSchema& schema, std::string_view name) {
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    if (schema.fields[i].name == name) return i;
  }
  return std::nullopt;
}

// The file that a field names, if it is there.
std::optional<fs::path> file_of(const Value* value) {
  if (!value) return std::nullopt;
  fs::path path = value->setting->value.get<std::string>();
  std::error_code failed;
  if (!fs::exists(path, failed)) return std::nullopt;
  return path;
}

// Whether the points of a row measure a distance where they state one half of what it needs. A
// tuning does so only with `fd_rise`.
bool wants_distance(std::optional<size_t> rise, const Cell* row, Values& values) {
  const Value* stated = rise ? values.at(*rise, row) : nullptr;
  return !rise || (stated && stated->setting->value.get<double>() > 0);
}

// Whether names of a zip archive are those of TorchScript or of a checkpoint of PyTorch.
bool is_of_pytorch(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.ends_with("/data.pkl") || name.ends_with("/constants.pkl") ||
           name.ends_with("/model.json");
  });
}

// By the file's first bytes, and a zip archive by its list of entries: an unfinished download lacks
// it. A pickle may hold Inception weights, which the job finds. Throws Error.
void require_kind_of_extractor(const fs::path& file) {
  constexpr const char* kWanted = "a TorchScript file or a PyTorch file of Inception weights";
  constexpr const char* kRepair =
      "save a network with torch.jit.save(torch.jit.trace(model, example), path), or name the "
      "weights pt_inception-2015-12-05-6726825d.pth";
  std::error_code failed;
  if (fs::is_directory(file, failed))
    throw Error(fmt::format("{} is a folder, not {}", file.string(), kWanted), kRepair);
  if (is_zip_file(file)) {
    if (!is_of_pytorch(checkpoint::ZipArchive(file).names()))
      throw wrong_kind(file, kWanted, kRepair);
  } else if (!is_pickle_file(file)) {
    throw wrong_kind(file, kWanted, kRepair);
  }
}

void require_extractor(const std::string& field, const Value& extractor, Report& report) {
  const auto file = file_of(&extractor);
  if (!file) return;
  try {
    require_kind_of_extractor(*file);
  } catch (const Error& failure) {
    for (const Problem& problem : failure.problems())
      report.error(extractor.mark, fmt::format("`{}`: {}", field, problem.what), problem.repair);
  }
}

struct Pair {
  std::string name;  // of the reference's field
  Mark mark;         // of the reference
  fs::path reference;
  std::optional<fs::path> extractor;
  int64_t image_size = 0;  // of the model; 0: unknown
};

void require_agreement(const Pair& pair, const FileFacts& facts, Report& report) {
  const auto found = facts.reference ? facts.reference(pair.reference) : std::nullopt;
  if (!found) return;
  const std::string file = pair.reference.filename().string();
  if (found->image_size > 0 && pair.image_size > 0 && found->image_size != pair.image_size) {
    report.error(pair.mark,
                 fmt::format("`{}`: {} was made from images of {} pixels, but the model's have {}",
                             pair.name, file, found->image_size, pair.image_size),
                 fmt::format("make it with `image_size: {}` in fid_stats", pair.image_size));
  }
  if (!pair.extractor) return;
  const std::string extractor = pair.extractor->filename().string();
  if (found->features > 0 && pair.image_size > 0 && facts.features) {
    const auto width = facts.features(*pair.extractor, pair.image_size);
    if (width && *width != found->features) {
      report.error(pair.mark,
                   fmt::format("`{}`: {} has {} features an image, but the extractor {} gives {}",
                               pair.name, file, found->features, extractor, *width),
                   "name the statistics that this extractor made");
      return;  // made by another extractor, to be sure
    }
  }
  if (found->extractor.empty() || !facts.sha256) return;
  const std::string own = facts.sha256(*pair.extractor);
  if (own.empty() || own == found->extractor) return;
  report.error(
      pair.mark,
      fmt::format("`{}`: {} was made by the extractor with SHA-256 {}..., but {} has {}...",
                  pair.name, file, found->extractor.substr(0, kShownHash), extractor,
                  own.substr(0, kShownHash)),
      "name the statistics that this extractor made");
}

// Of a list of labels and a model whose number of classes is known.
void require_labels(const std::string& field, const Value& labels, const ModelEntry& model,
                    Report& report) {
  const auto& unknown = model.unknown;
  if (std::find(unknown.begin(), unknown.end(), "classes") != unknown.end()) return;
  const int64_t classes = model.model.shape.classes;
  const std::string& name = model.model.name;
  if (classes == 0) {
    report.error(labels.mark,
                 fmt::format("`{}`: the model {} is unconditional and takes none", field, name),
                 fmt::format("leave `{}` out", field));
    return;
  }
  for (const Json& label : labels.setting->value) {
    if (label.get<int64_t>() < classes) continue;
    report.error(labels.mark,
                 fmt::format("`{}`: {} is not a class of the model {}, which has {}", field,
                             label.dump(), name, classes),
                 fmt::format("classes are 0 to {}", classes - 1));
    return;
  }
}

// A path to images and what is stated beside it, by their fields.
struct ImageFields {
  size_t path = 0;
  std::optional<size_t> layout, max_unreadable;
  // Of images that are used and not compared with: how many, and whether their folders are classes.
  std::optional<size_t> count, labels, model;

  // The cells on which the answer depends.
  std::vector<Cell> key(const Cell* row) const {
    std::vector<Cell> cells = {row[path]};
    for (const auto& field : {layout, max_unreadable, count, labels, model})
      cells.push_back(field ? row[*field] : 0);
    return cells;
  }
};

ImageFields fields_beside(size_t path, const Values& values) {
  const ExperimentSchema& schema = values.schema();
  const Field& field = schema.fields[path];
  ImageFields fields{path,
                     index_of(schema, layout_setting_of(field.name)),
                     index_of(schema, "max_unreadable"),
                     {},
                     {},
                     {}};
  if (field.file != FileKind::kImages) return fields;
  const bool guess = field.name == kGuessImages;
  fields.count = index_of(schema, guess ? kGuessNumImages : "num_images");
  if (fields.count && schema.fields[*fields.count].type != FieldType::kInteger) fields.count = {};
  const Field* labels = guess ? nullptr : schema.field("labels");
  if (labels && labels->type == FieldType::kChoice) fields.labels = index_of(schema, "labels");
  fields.model = values.model_field();
  return fields;
}

// More images are asked for than there are.
void require_enough(const ImageFields& fields, const Cell* row, const fs::path& file,
                    const ImageFacts& found, Values& values) {
  const Value* count = fields.count ? values.at(*fields.count, row) : nullptr;
  if (!count || found.count <= 0) return;
  const auto wanted = count->setting->value.get<int64_t>();
  if (wanted <= found.count) return;
  const auto& schema = values.schema();
  values.report().error(
      count->mark,
      fmt::format("`{}`: {} images, but `{}` has {}: {}", schema.fields[*fields.count].name, wanted,
                  schema.fields[fields.path].name, found.count, file.string()),
      fmt::format("at most {}; 0 takes all", found.count));
}

// `labels: folder` where the folders are not the model's classes.
void require_class_folders(const ImageFields& fields, const Cell* row, const fs::path& file,
                           const ImageFacts& found, Values& values) {
  const Value* labels = fields.labels ? values.at(*fields.labels, row) : nullptr;
  const Value* name = labels && fields.model ? values.at(*fields.model, row) : nullptr;
  if (!name || labels->setting->value != "folder" || found.count <= 0) return;
  const ModelEntry& model =
      values.surroundings().models.at(name->setting->value.get<std::string>());
  const auto& unknown = model.unknown;
  if (std::find(unknown.begin(), unknown.end(), "classes") != unknown.end()) return;
  const int64_t classes = model.model.shape.classes;
  const auto report = [&](const std::string& what) {
    values.report().error(labels->mark, "`labels: folder`: " + what,
                          "labels are the places of the class folders in the order of their names, "
                          "or the numbers in .npz batches; or set labels: none");
  };
  if (classes == 0) {
    report(fmt::format("the model {} is unconditional and takes no labels", model.model.name));
  } else if (found.batches && found.classes == 0) {
    report(file.string() + " holds no labels");
  } else if (found.batches ? found.classes > classes : found.classes != classes) {
    report(fmt::format("{} has {} {}, but the model {} has {} classes", file.string(),
                       found.classes, found.batches ? "labels" : "class folders", model.model.name,
                       classes));
  }
}

// Of one row; `path` is stated.
void check_images(const ImageFields& fields, const Cell* row, const FileFacts& facts,
                  Values& values) {
  const Value* path = values.at(fields.path, row);
  const auto file = file_of(path);
  if (!file) return;
  const Value* layout = fields.layout ? values.at(*fields.layout, row) : nullptr;
  const Value* allowed = fields.max_unreadable ? values.at(*fields.max_unreadable, row) : nullptr;
  const Field& field = values.schema().fields[fields.path];
  Report& report = values.report();
  try {
    const auto found =
        facts.images(*file, field.file, layout ? layout->setting->value.get<std::string>() : "");
    if (!found) {
      if (!layout) return;
      report.warn(layout->mark, fmt::format("`{}` changes nothing: {} is not a folder of images",
                                            layout_setting_of(field.name), file->string()));
      return;
    }
    for (const std::string& warning : found->warnings) report.warn(path->mark, warning);
    require_enough(fields, row, *file, *found, values);
    require_class_folders(fields, row, *file, *found, values);
    const auto broken = static_cast<int64_t>(found->broken.size());
    if (broken <= (allowed ? allowed->setting->value.get<int64_t>() : 0)) return;
    report.error(
        path->mark,
        fmt::format("`{}`: {} is a link that leads nowhere{}", field.name, found->broken.front(),
                    broken > 1 ? fmt::format(", as are {} more", broken - 1) : ""),
        "repair or remove it, or raise `max_unreadable`");
  } catch (const Error& failure) {
    for (const Problem& problem : failure.problems())
      report.error(path->mark, fmt::format("`{}`: {}", field.name, problem.what), problem.repair);
  }
}

}  // namespace

void require_readable_images(const Rows& rows, const FileFacts& facts, OpenGuesses& guesses,
                             Values& values) {
  if (!facts.images) return;
  const ExperimentSchema& schema = values.schema();
  for (size_t f = 0; f < schema.fields.size(); ++f) {
    const Field& field = schema.fields[f];
    const bool images = field.file == FileKind::kImages || field.file == FileKind::kReference;
    if (field.type != FieldType::kPath || !images) continue;
    const ImageFields fields = fields_beside(f, values);
    std::set<std::vector<Cell>> seen;
    for (size_t i = 0; i < rows.count; ++i) {
      const Cell* row = rows.row(i);
      if (guesses.is_idle(f, row)) continue;
      if (!seen.insert(fields.key(row)).second) continue;
      const Cell layout = fields.layout ? row[*fields.layout] : 0;
      if (row[f] != 0) {
        check_images(fields, row, facts, values);
      } else if (layout != 0) {
        values.report().warn(values.mark(*fields.layout, layout),
                             fmt::format("`{}` changes nothing without `{}`",
                                         layout_setting_of(field.name), field.name));
      }
    }
  }
}

void require_known_labels(const Rows& rows, Values& values) {
  const Field* field = values.schema().field("labels");
  if (!field || field->type != FieldType::kIntegerList || !values.model_field()) return;
  const auto index = static_cast<size_t>(field - values.schema().fields.data());
  std::set<std::pair<Cell, Cell>> seen;
  for (size_t i = 0; i < rows.count; ++i) {
    const Cell* row = rows.row(i);
    const Value *labels = values.at(index, row), *name = values.at(*values.model_field(), row);
    if (!labels || !name || !seen.emplace(row[index], row[*values.model_field()]).second) continue;
    const auto& models = values.surroundings().models;
    require_labels(field->name, *labels, models.at(name->setting->value.get<std::string>()),
                   values.report());
  }
}

void require_pairs(const Rows& rows, Values& values) {
  const ExperimentSchema& schema = values.schema();
  const auto reference = field_of(schema, FileKind::kReference);
  const auto extractor = field_of(schema, FileKind::kExtractor);
  const auto rise = index_of(schema, "fd_rise");
  std::set<Cell> extractors;
  std::set<std::pair<Cell, bool>> halves;
  for (size_t i = 0; i < rows.count; ++i) {
    const Cell* row = rows.row(i);
    const Value* features = extractor ? values.at(*extractor, row) : nullptr;
    const Value* real = reference ? values.at(*reference, row) : nullptr;
    if (features && extractors.insert(row[*extractor]).second)
      require_extractor(schema.fields[*extractor].name, *features, values.report());
    if (!extractor || !reference || !features == !real || !wants_distance(rise, row, values))
      continue;
    const size_t stated = features ? *extractor : *reference;
    if (!halves.emplace(row[stated], features != nullptr).second) continue;
    const std::string& absent = schema.fields[features ? *reference : *extractor].name;
    values.report().error(
        (features ? features : real)->mark,
        fmt::format("`{}` without `{}`: a distance needs both", schema.fields[stated].name, absent),
        fmt::format("add `{}`, or remove `{}`", absent, schema.fields[stated].name));
  }
}

void warn_of_idle_temperature(const Rows& rows, Values& values) {
  const auto temperature = index_of(values.schema(), "attn_temp");
  const auto guidance = index_of(values.schema(), "cfg");
  if (!temperature || !guidance) return;
  std::map<Cell, bool> used;
  for (size_t i = 0; i < rows.count; ++i) {
    const Cell* row = rows.row(i);
    const Value* stated = values.at(*temperature, row);
    const Value* cfg = values.at(*guidance, row);
    if (!stated || stated->setting->value.get<double>() == 1) continue;
    bool& is_used = used[row[*temperature]];
    is_used = is_used || !cfg || cfg->setting->value.get<double>() > 0;
  }
  for (const auto& [cell, is_used] : used) {
    if (is_used) continue;
    values.report().warn(values.mark(*temperature, cell),
                         "`attn_temp` changes nothing without guidance: `cfg` is 0",
                         "state a `cfg` above 0, or leave `attn_temp` out");
  }
}

void require_agreement(const Rows& rows, const FileFacts& facts, Values& values) {
  const auto reference = field_of(values.schema(), FileKind::kReference);
  const auto extractor = field_of(values.schema(), FileKind::kExtractor);
  if (!reference || !facts.reference) return;
  std::set<std::tuple<Cell, Cell, Cell>> seen;
  for (size_t i = 0; i < rows.count; ++i) {
    const Cell* row = rows.row(i);
    const Cell model = values.model_field() ? row[*values.model_field()] : 0;
    if (!seen.emplace(row[*reference], extractor ? row[*extractor] : 0, model).second) continue;
    const Value* stated = values.at(*reference, row);
    const auto file = file_of(stated);
    if (!file) continue;
    Pair pair{values.schema().fields[*reference].name, stated->mark, *file, {}, 0};
    if (extractor) pair.extractor = file_of(values.at(*extractor, row));
    if (const Value* name = model ? values.at(*values.model_field(), row) : nullptr) {
      const auto& models = values.surroundings().models;
      pair.image_size = models.at(name->setting->value.get<std::string>()).model.shape.image_size;
    }
    require_agreement(pair, facts, values.report());
  }
}

}  // namespace tarflow::sweep
