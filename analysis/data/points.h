// The points of merged sweep files, as the tables look at them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/shape.h"
#include "framework/record/opened.h"
#include "framework/record/record.h"

namespace tarflow::analysis {

// Of experiment evaluate: (n,3,H,W) float32, the images of the first n indices before
// self-denoising.
inline constexpr const char* kSampledImages = "images/before_denoising";

struct Source {
  std::filesystem::path file;
  record::SweepRecord sweep;
  // Holds the arrays and environments of jobs that were read from a file; nullptr where the jobs of
  // `sweep` hold their own.
  std::shared_ptr<record::StoredJobs> stored = {};
};

// One row of results and the job it comes from. Points into the sources, which must outlive it.
struct Point {
  const record::Row* row = nullptr;
  const record::JobRecord* job = nullptr;  // nullptr when the file lacks the job
  const Source* source = nullptr;          // nullptr when it is in none

  // The value of a column; "" or nothing where it is absent or NaN.
  std::string text(const std::string& column) const;
  std::optional<double> number(const std::string& column) const;
  bool flag(const std::string& column) const;  // present and not 0
  // What is to be known before the row is used; "" where its status is ok.
  std::string warning() const;

  // Of a trial run (--smoke), whose numbers mean nothing.
  bool smoke() const;

  std::string id() const { return text("point"); }
  // "FILE#JOB/POINT": tells this measurement from others of the same point in other files.
  std::string origin() const;
  // An array of the job that belongs to this point or to the whole job; nullptr when there is none,
  // or when it is in another file that cannot be read, which read_sources() has said. Throws Error
  // when it cannot be read.
  const record::Array* array(const std::string& path) const;
  std::vector<std::string> array_paths() const;  // all of its job's, sorted
  Json environment() const;                      // of its job; null where it is not known
  // From job.json's model; "" where the job names none.
  std::string checkpoint() const;         // file name
  std::string checkpoint_sha256() const;  // in hexadecimal
  std::string weights() const;            // which model of a file of several; "" for the only one
  std::string model_id() const;           // the same for the same tensors
  std::optional<ModelShape> model_shape() const;
  // Of what the setting `field` names, from job.json; "" where it is not told.
  std::string content_sha256(const std::string& field) const;
};

// The point's array; nullptr where there is none, or where it cannot be read, which `problems` then
// tells once.
const record::Array* array_or_problem(const Point& point, const std::string& path,
                                      std::vector<std::string>& problems);

// Every measurement once, ordered by file, then point id. Copies (the same point of the same job
// with equal cells) count once, wherever their files are; a point that was measured again is there
// for each measurement.
std::vector<Point> points_of(const std::vector<Source>& sources);

// The model's name of each point, with the start of its checkpoint's hash where models of one name
// differ.
std::vector<std::string> model_names(const std::vector<Point>& points);

// Adds ", column value" to the names of all points that share a name and differ in the column.
void add_differing(std::vector<std::string>& names, const std::vector<Point>& points,
                   const std::string& column);

// Names that tell the points of a list apart: model_names, and what differs among points of the
// same name (the given columns in order, at last the point id, and the file where a point was
// measured more than once).
std::vector<std::string> distinct_names(const std::vector<Point>& points,
                                        const std::vector<std::string>& columns);

// "SMOKE: TEXT": how titles of what trial runs made begin.
std::string smoke_title(const std::string& text);

// "500", "0.9", "1e-06": a setting as it was written.
std::string setting_text(const Point& point, const std::string& column);

}  // namespace tarflow::analysis
