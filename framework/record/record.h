// What a job leaves: one HDF5 file a job, merged into one a sweep, and reading back.
//
// A job's file and a sweep's file have the same layout, so whoever reads one reads the other:
//   /                 attributes record_version, kind ("job" or "sweep"), name
//   /columns          name, type, unit, meaning, timing of each column of /points
//   /points           one flat row a point; float64 (absent: NaN), int64 beside a uint8 has_<name>,
//                     strings of fixed length in UTF-8 (absent: "")
//   /jobs/<hash>/     job.json, environment.json (text) and the job's arrays; each dataset has the
//                     attributes unit, meaning, timing (0 or 1), point ("" or the one it belongs
//                     to), and axes (a JSON list of names) where they are declared
//   /order            of a sweep's file: ids of the points in the order of the sweep file, text
//   /sources          of a sweep's file: what it was merged from, for the next merge (origins.h)
// In a sweep's file an array may be an external link to a job's file, see merge().
// The first 512 bytes are an HDF5 user block that holds the version, the length and the SHA-256 of
// the rest. It is checked before HDF5 sees the file: damage is always found and never a crash.
// docs/records.md (records_document) says the same to those who read the files.
//
// Versions: 2 adds to the user block its own check and what a sweep's file was merged from, and
// the attribute axes. 1 is read as before; files of both versions are merged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/experiment.h"
#include "framework/core/json.h"

namespace tarflow::record {

inline constexpr int kRecordVersion = 2;

using Cell = std::variant<double, int64_t, std::string>;

// One point's results. Columns that a row does not name are absent; NaN and "" are the same as
// absent.
using Row = std::map<std::string, Cell>;

using ArrayType = ElementType;

// One dataset under /jobs/<hash>/.
struct Array {
  std::string path;  // relative to the job's group: "crm/norm_2", "images/before_denoising"
  ArrayType type = ArrayType::kFloat64;
  std::vector<int64_t> shape;        // {} for a scalar
  std::vector<std::byte> data;       // row-major, host byte order; empty for strings
  std::vector<std::string> strings;  // for kString
  std::string unit;                  // "" for pure numbers
  std::string meaning;               // one sentence, with the axes
  bool timing = false;               // left out of the digest
  // Rows of `points` it belongs to are told by the group; `point` names one when it belongs to one
  // only.
  std::string point;
  std::vector<std::string> axes = {};  // names, one an axis; {} where they are not told
};

Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<double>& values,
                 std::string unit, std::string meaning);
Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<float>& values,
                 std::string unit, std::string meaning);
Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<int64_t>& values,
                 std::string unit, std::string meaning);
Array make_array(std::string path, std::vector<int64_t> shape, const std::vector<uint8_t>& values,
                 std::string unit, std::string meaning);
std::vector<double> to_doubles(const Array& array);  // any numeric type

struct JobRecord {
  std::string hash;
  Json job;                     // job.json as it was run
  Json environment;             // versions, device, threads, git state; left out of the digest
  std::vector<Column> columns;  // settings and results, sorted by name
  std::vector<Row> rows;        // one a point, in the job's order
  std::vector<Array> arrays;    // sorted by path
};

// The columns every row has, whatever the experiment: point, job, experiment, device (the model of
// the device that was used), status. A setting or result of the same name gives way to them.
std::vector<Column> standard_columns();
// One column a field: numbers and strings as they are, booleans as 0 or 1, lists in canonical JSON,
// paths by their last component (where a file lies changes no result). A strategy gives its name
// and, in <field>_blocks, describe() of it.
std::vector<Column> settings_columns(const ExperimentSchema& schema);
// The cells of settings_columns. `settings` as in sweep::Point. Throws Error on a value of another
// type.
Row settings_row(const ExperimentSchema& schema, const Json& settings);
// Standard, settings and result columns, sorted by name. Throws Error when two have one name.
std::vector<Column> all_columns(const ExperimentSchema& schema);

// That every array of a job is one that its experiment declares: by path, where a part in angle
// brackets matches any one component, type, number of axes, unit and timing; axes that an array
// names are the declared ones. Throws Error naming all that are not.
void require_declared(const ExperimentSchema& schema, const std::vector<Array>& arrays);

// docs/records.md: the layout of the files, and the columns and arrays of each experiment.
// Markdown.
std::string records_document(const ExperimentSchemas& schemas);

// Written aside, fsync, rename. Throws Error naming the file, also when the record contradicts
// itself: a row without `point`, a cell without its column or of another type, an array whose data
// do not fill its shape.
void write_job(const std::filesystem::path& file, const JobRecord& record);
JobRecord read_job(const std::filesystem::path& file);

// That the file is a whole, undamaged record of a version this program reads. Reads all of it;
// returns the SHA-256 of its content. Throws NotRead (fault.h) naming the file.
std::string verify(const std::filesystem::path& file);
// The same without reading the content: the SHA-256 that the file's first 512 bytes state, which
// are checked themselves, as is the file's length. Finds files that were cut short or replaced, not
// bytes changed in place.
std::string content_sha256(const std::filesystem::path& file);

// A merged sweep file.
struct SweepRecord {
  std::string name;
  std::vector<Column> columns;
  std::vector<Row> rows;                  // sorted by point id; column "job" names the job
  std::map<std::string, JobRecord> jobs;  // by hash; their own columns and rows are left empty
};

// What to take of a job's file.
struct JobFile {
  std::filesystem::path file;
  std::vector<std::string> points;  // ids of the points wanted; empty: all
  // As verify() returned it, while the file has been as it is now (its stamp is the same): it is
  // not computed again. Empty: content_sha256 is asked, and verify() before the file is used.
  std::string sha256 = {};
};

inline constexpr uint64_t kMergeLimit = 1'000'000'000;  // of sweeps that state none
inline constexpr uint64_t kNoMergeLimit = ~uint64_t{0};

struct MergeOptions {
  std::vector<std::string> order = {};  // ids of points in the order of the sweep file, into /order
  uint64_t limit = kNoMergeLimit;       // bytes of all arrays that are copied
  size_t in_place_from = 500;           // jobs
};

struct Merged {
  std::vector<Problem> problems;     // job files that could not be read, one each
  bool wrote = false;                // false: `file` already held exactly this
  std::filesystem::path aside = {};  // where a damaged `file` is kept; "": it was not damaged
};

// Merges job files into `file`: the same jobs give the same bytes whatever the order. Unreadable
// job files are returned, not merged, and never cost the others. A point that two jobs hold is
// taken from the job of the higher `generation` (in job.json; absent: 0), then from the one whose
// hash sorts first. Where two jobs disagree on a column's type, float64 wins over int64 and text
// over both. No more than one job's arrays are in memory.
//
// Arrays are copied while all of them together take no more than `limit`. Beyond, the large ones
// become HDF5 external links to the jobs' files, by their path from `file` on: those above a size
// (a power of 4) that depends on the arrays alone, so that the small ones stay in `file`.
//
// `file` remembers what it was merged from, and is left untouched when that is asked for again and
// it is whole, which is checked by reading it, and its links lead to these files. The job files are
// not read then: one that was changed in place since its SHA-256 was determined is not noticed and
// costs nothing, as `file` holds what it held before. When `file` is written, every job file that
// is read is checked as by verify().
//
// Of `in_place_from` jobs or more, of which most are in `file` already, a copy of it is changed
// where they are not: only the files of those jobs are read. It holds the same as if it were
// written anew, but not in the same bytes. It is written anew where the copy cannot be changed.
//
// A damaged `file` is set aside first (fault.h). One of a newer version, or one that cannot be read
// now, is kept: NotRead is thrown and nothing is written.
Merged merge(const std::filesystem::path& file, const std::string& sweep_name,
             const std::vector<JobFile>& job_files, const MergeOptions& options = {});
Merged merge(const std::filesystem::path& file, const std::string& sweep_name,
             const std::vector<std::filesystem::path>& job_files);
// Follows links. Throws Error naming a linked file that is absent, damaged or another one than when
// it was merged.
SweepRecord read_sweep(const std::filesystem::path& file);

// Writes to `out` the sweep's file `in` with all arrays in it. Throws Error as read_sweep().
void bundle(const std::filesystem::path& in, const std::filesystem::path& out);

// SHA-256 over all cells and arrays but times and the environment (which is also the column
// `device`), by value: neither the layout of the file nor the order of rows, columns and jobs
// matters.
std::string digest(const SweepRecord& sweep);
// Of a file, with the arrays of one job in memory at a time. Throws Error as read_sweep().
std::string digest(const std::filesystem::path& file);

}  // namespace tarflow::record
