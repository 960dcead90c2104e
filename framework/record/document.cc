#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/record/envelope.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace {

constexpr const char* kIntroduction = R"(# Records

The files that `run_sweep` writes, and how to read them. This page is generated from the types in the code:

```bash not-run: rewrites this page
build/bin/analyze describe-records --schemas build/share/experiments.json > docs/records.md
```

A job writes `results/SWEEP/jobs/HASH/result.h5`. All jobs of a sweep are merged into `results/SWEEP.h5`. Both files have the same layout,
so the same code reads both. They are HDF5 files, readable by HDF5 1.8 and later.

## Reading them

```python
import h5py, pandas

with h5py.File("results/demo.h5") as file:
    points = pandas.DataFrame(file["points"][:])                     # one row per point
    columns = pandas.DataFrame(file["columns"][:]).set_index("name")  # unit, meaning, type, timing
    texts = points.select_dtypes(object).columns
    points[texts] = points[texts].apply(lambda column: column.str.decode("utf-8"))
    job = file["jobs"][points["job"][0]]                             # the arrays of its job
    iterations = job["sampling/iterations"]
    print(iterations[:], iterations.attrs["meaning"].decode(), iterations.attrs["unit"].decode())
    settings = job["job.json"][()].decode()                          # JSON
```

`share/results.py` does this and more ([python.md](python.md)). In C++ include `framework/record/record.h`: `read_sweep`, `read_job`.
`h5dump` and `h5ls -r` work too. `analyze digest FILE` prints a hash of the results. `analyze compare A.h5 B.h5` shows how much two files
differ.

## Layout

| Path | Contents |
|---|---|
| first {envelope} bytes | the envelope: text, before the HDF5 part |
| `/` | attributes `record_version`, `kind` (`job` or `sweep`), `name` (the job's hash or the sweep's name) |
| `/columns` | a row for each column of `/points`: `name`, `type`, `unit`, `meaning`, `timing` |
| `/points` | a row for each point, sorted by `point`; the columns are listed below |
| `/order` | of a sweep's file: the ids of its points in the order of the sweep file, text; absent in files of older versions |
| `/sources` | of a sweep's file: from which content of which jobs it was merged, for the next merge; absent in files of older versions |
| `/jobs/HASH/job.json` | description of the job, text: settings, points, model, hashes of the files it read, `generation` |
| `/jobs/HASH/environment.json` | environment of the run, text: versions, device, threads, source revision |
| `/jobs/HASH/...` | the arrays of the job, listed below |

**Absent values.** An absent value is NaN in a float64 column and `""` in a text column. Each int64 column `NAME` has a column `has_NAME`,
which is 0 if the value is absent. Texts are UTF-8, padded with zero bytes. Lists are JSON. Booleans are 0 or 1.

**Attributes of arrays.** `unit` (`""` for pure numbers), `meaning`, `timing` (1: a duration or rate), `point` (the point of the array,
or `""` if it belongs to all points of its job), and `axes` (a JSON list of names) if declared.

**Envelope.** Lines `tarflow record VERSION`, `bytes` (length of the HDF5 part), `sha256` (of the HDF5 part), in the file of a
sweep `merged` (hash of the merged jobs; if nothing changed, `run_sweep` does not rewrite the file), and `check` (start of the SHA-256 of
the earlier lines), then zero bytes. The envelope is checked before the file is read. A truncated or changed file is refused. HDF5 skips
the envelope by itself (it is a user block).

**Same bytes.** The HDF5 structures hold no times of writing, and everything is sorted. A file of a sweep that is written as a whole has the
same bytes for the same job files, in any order of computation, if the sweep file lists its points in the same order. If less than a
quarter of 500 or more jobs changed, `run_sweep` changes a copy of the last file instead and takes unchanged jobs from it: it then holds
the same and has the same digest, but other bytes. `analyze bundle` writes all of it again. Files are written to a temporary file, synced
and renamed.

**Which result.** If two jobs computed a point, the job with the higher `generation` in its `job.json` wins (`--force` raises it), then the
job whose hash sorts first.

## Large records

`results/SWEEP.h5` holds all arrays itself if they take 1 GB or less together (`run: merge_limit` in the sweep file sets another size).
Beyond that the small arrays are copied and the large ones stay in `results/SWEEP/jobs/HASH/result.h5`. In their place are HDF5 external
links, by the path from the record. `h5py`, `h5dump` and all commands of `analyze` follow them. Keep the folder `results/SWEEP` beside such
a record. To send or move it alone, write a record that holds everything:

```bash not-run: needs a large record
build/bin/analyze bundle results/SWEEP.h5 whole.h5
```

`analyze` checks each linked file before it reads it: a file that is absent, damaged or has changed since it was merged is named. Tables
and pictures that need its arrays lack them, and the exit status is 1. After a change of results run the sweep again.

## Versions

The current version is {version}. Older files are read, merged and compared, with the same digest. Newer files are refused by name.

| Version | New |
|---|---|
| 1 | everything except the following |
| 2 | `merged` and `check` in the envelope; `axes` of arrays |

## The digest

`analyze digest FILE` hashes every cell of `/points` and the path, type, shape and values of every array. Layout, version, order and the
name of the sweep do not matter. Columns and arrays with `timing` 1, the column `device`, `job.json` and `environment.json` are left out. So
two runs of a sweep on the same device model, build and number of threads have the same digest, even after interruptions.
)";

// A text in a cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

const char* type_word(ColumnType type) {
  return type == ColumnType::kFloat64 ? "float64" : type == ColumnType::kInt64 ? "int64" : "text";
}

std::string column_table(std::vector<Column> columns) {
  std::sort(columns.begin(), columns.end(),
            [](const Column& a, const Column& b) { return a.name < b.name; });
  std::string text = "| Column | Type | Unit | Meaning | Timing |\n|---|---|---|---|---|\n";
  for (const Column& column : columns) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", column.name, type_word(column.type),
                        cell(column.unit), cell(column.description), column.timing ? "yes" : "");
  }
  return text;
}

std::string array_table(const std::vector<ArrayInfo>& arrays) {
  std::string text =
      "| Array | Type | Axes | Unit | Meaning | Timing |\n|---|---|---|---|---|---|\n";
  for (const ArrayInfo& array : arrays) {
    const std::string axes =
        array.axes.empty() ? "a single value" : fmt::format("{}", fmt::join(array.axes, ", "));
    text +=
        fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", array.path,
                    array.type == ArrayType::kString ? "text" : to_string(array.type), cell(axes),
                    cell(array.unit), cell(array.meaning), array.timing ? "yes" : "");
  }
  return text;
}

std::string experiment_section(const ExperimentSchema& schema) {
  std::string text = fmt::format(
      "\n## {}\n\n{} Revision {}{}.\n", schema.name, cell(schema.description), schema.revision,
      schema.timed ? "; the hash of its job depends on the model of the device" : "");
  text += "\nSettings, from the sweep file or by default:\n\n" +
          column_table(settings_columns(schema));
  text += "\nResults:\n\n" + column_table(schema.columns);
  if (!schema.arrays.empty()) {
    text += "\nArrays below `/jobs/HASH/`; a part in angle brackets varies:\n\n" +
            array_table(schema.arrays);
  }
  return text;
}

void replace(std::string& text, std::string_view what, const std::string& with) {
  for (size_t at; (at = text.find(what)) != std::string::npos;) text.replace(at, what.size(), with);
}

}  // namespace

std::string records_document(const ExperimentSchemas& schemas) {
  std::string text = kIntroduction;
  replace(text, "{envelope}", fmt::format("{}", kEnvelopeBytes));
  replace(text, "{version}", fmt::format("{}", kRecordVersion));
  text += "\n## Columns of every experiment\n\n" + column_table(standard_columns());
  text += "\nThey replace a setting or result of the same name.\n";
  for (const ExperimentSchema& schema : schemas) text += experiment_section(schema);
  return text;
}

}  // namespace tarflow::record
