// What an experiment accepts and returns, as data: registered by experiments/, written to a file by
// `run_job --describe` at build time, and read by run_sweep (which has no LibTorch) for validation,
// point and job identities, and the columns of the records.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/json.h"

namespace tarflow {

enum class FieldType {
  kBoolean,
  kInteger,
  kNumber,
  kString,
  kChoice,    // one of `choices`
  kPath,      // an existing file or folder, relative to the YAML file
  kModel,     // a name under `models:`
  kStrategy,  // a published name, the three lists, or a per-block map
  kIntegerList,
  kNumberList,
};

// What changing a field means for results that exist already.
enum class Identity {
  kValue,    // the value is part of the point's identity
  kContent,  // a path: the content of the file or folder is part of the job's identity, its name is
             // not, unless the field is shared: then it tells the job's points apart
  kNone,     // never changes results (how much is kept, say)
};

// What a path leads to; what is known of such files is checked before anything runs.
enum class FileKind {
  kAny,
  kImages,     // a folder of images
  kExtractor,  // a feature extractor
  kReference,  // a folder of images, or statistics of image features
};

struct Field {
  std::string name;
  FieldType type = FieldType::kNumber;
  std::string description;
  std::string unit;  // "" for pure numbers
  bool required = false;
  Json default_value;                      // null with required == false: the field may be absent
  std::optional<double> minimum, maximum;  // inclusive; of every item for lists
  std::vector<std::string> choices;
  Json example;  // null or a value for the documentation
  Identity identity = Identity::kValue;
  bool shared = false;             // points that differ only in shared fields run as one job
  FileKind file = FileKind::kAny;  // of a kPath
  bool tuned = false;              // of a kStrategy: it may be auto, left to measurements
};

enum class ColumnType { kFloat64, kInt64, kString };

// A column of /points. Absent values: NaN, has_<name> = 0, "".
struct Column {
  std::string name;
  ColumnType type = ColumnType::kFloat64;
  std::string unit;
  std::string description;
  bool timing = false;  // a duration or rate: left out of the digest
  bool operator==(const Column&) const = default;
};

enum class ElementType { kFloat32, kFloat64, kInt64, kUInt8, kString };

// A family of datasets in a job's group, for the documentation and the check of what a job writes.
struct ArrayInfo {
  // Relative to /jobs/<hash>/; parts that vary stand in angle brackets and match one component:
  // "moments/<point>/sum".
  std::string path;
  ElementType type = ElementType::kFloat64;
  std::vector<std::string> axes;  // "image", "block", ...; {} for a scalar
  std::string unit;
  std::string meaning;  // one sentence
  bool timing = false;  // a duration or rate: left out of the digest
};

// What most of an experiment's time goes into; from it run_sweep estimates what a job takes.
enum class Work {
  kUnknown,
  kSampling,  // num_images images inverted with `strategy`, guided if cfg > 0
  kForward,   // one pass over all blocks for each of num_images images
  kFeatures,  // one pass of an extractor for each of num_images images
  kTraining,  // the model of the settings is trained for `steps` or `epochs` of batches of `batch`
};

struct ExperimentSchema {
  std::string name;
  std::string description;
  int revision = 1;    // raised when the experiment's numbers change
  bool timed = false;  // its result depends on the device's model, which joins the job's identity
  std::vector<Field> fields;
  std::vector<Column> columns;  // results only; settings columns follow from the fields
  std::vector<ArrayInfo> arrays = {};
  Work work = Work::kUnknown;
  bool ranks = false;  // a job may run in several processes, each on a GPU or on cores of its own

  const Field* field(const std::string& name) const;  // nullptr when there is none
};

using ExperimentSchemas = std::vector<ExperimentSchema>;  // sorted by name

Json to_json(const ExperimentSchemas& schemas);
ExperimentSchemas experiment_schemas_from_json(const Json& json);              // throws Error
ExperimentSchemas read_experiment_schemas(const std::filesystem::path& path);  // throws Error

std::string to_string(ElementType type);  // "float32"
std::string to_string(
    FieldType type);  // "number", "list of integers", ... as messages and help name it

}  // namespace tarflow
