#include "analysis/data/points.h"
#include "framework/core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace tarflow::analysis {
namespace {

std::string model_field(const record::JobRecord* job, const char* field) {
  if (!job || !job->job.is_object()) return "";
  const auto model = job->job.find("model");
  if (model == job->job.end() || !model->is_object()) return "";
  const auto value = model->find(field);
  return value != model->end() && value->is_string() ? value->get<std::string>() : "";
}

// Adds a value to the names of all points that share a name and differ in the value.
void tell_apart(std::vector<std::string>& names, const std::vector<Point>& points,
                const std::function<std::string(const Point&)>& value_of) {
  std::map<std::string, std::set<std::string>> values;
  for (size_t i = 0; i < points.size(); ++i) values[names[i]].insert(value_of(points[i]));
  for (size_t i = 0; i < points.size(); ++i) {
    if (values.at(names[i]).size() > 1) names[i] += ", " + value_of(points[i]);
  }
}

}  // namespace

std::string Point::text(const std::string& column) const {
  const auto cell = row->find(column);
  if (cell == row->end()) return "";
  const std::string* value = std::get_if<std::string>(&cell->second);
  return value ? *value : "";
}

std::optional<double> Point::number(const std::string& column) const {
  const auto cell = row->find(column);
  if (cell == row->end()) return std::nullopt;
  if (const double* value = std::get_if<double>(&cell->second)) {
    return std::isnan(*value) ? std::nullopt : std::optional<double>(*value);
  }
  if (const int64_t* value = std::get_if<int64_t>(&cell->second))
    return static_cast<double>(*value);
  return std::nullopt;
}

bool Point::flag(const std::string& column) const { return number(column).value_or(0) != 0; }

std::string Point::warning() const {
  const std::string status = text("status");
  return status == "ok" ? "" : status;
}

bool Point::smoke() const {
  if (flag("smoke")) return true;
  if (!job || !job->job.is_object()) return false;
  const auto replaced = job->job.find("smoke");
  return replaced != job->job.end() && !replaced->is_null();
}

std::string Point::origin() const {
  return fmt::format("{}#{}/{}", source ? source->file.string() : "", text("job"), id());
}

const record::Array* Point::array(const std::string& path) const {
  if (!job) return nullptr;
  const std::string own = id();
  if (source && source->stored) {
    if (source->stored->is_lost(job->hash, path)) return nullptr;
    const record::Array* array = source->stored->array(job->hash, path);
    return array && (array->point.empty() || array->point == own) ? array : nullptr;
  }
  for (const record::Array& array : job->arrays) {
    if (array.path == path && (array.point.empty() || array.point == own)) return &array;
  }
  return nullptr;
}

const record::Array* array_or_problem(const Point& point, const std::string& path,
                                      std::vector<std::string>& problems) {
  try {
    return point.array(path);
  } catch (const Error& failure) {
    const std::string problem = failure.what();
    if (std::find(problems.begin(), problems.end(), problem) == problems.end())
      problems.push_back(problem);
    return nullptr;
  }
}

std::vector<std::string> Point::array_paths() const {
  std::vector<std::string> paths;
  if (!job) return paths;
  if (source && source->stored) return source->stored->array_paths(job->hash);
  for (const record::Array& array : job->arrays) paths.push_back(array.path);
  return paths;
}

Json Point::environment() const {
  if (!job) return {};
  return source && source->stored ? source->stored->environment(job->hash) : job->environment;
}

std::string Point::checkpoint() const {
  return std::filesystem::path(model_field(job, "checkpoint")).filename().string();
}

std::string Point::checkpoint_sha256() const { return model_field(job, "sha256"); }

std::string Point::weights() const { return model_field(job, "weights"); }

std::string Point::model_id() const { return checkpoint_sha256() + " " + weights(); }

std::optional<ModelShape> Point::model_shape() const {
  if (!job || !job->job.is_object()) return std::nullopt;
  const auto model = job->job.find("model");
  if (model == job->job.end() || !model->is_object() || !model->contains("shape"))
    return std::nullopt;
  try {
    return shape_from_json(model->at("shape"));
  } catch (const Error&) {
    return std::nullopt;  // another program's
  }
}

std::string Point::content_sha256(const std::string& field) const {
  if (!job || !job->job.is_object()) return "";
  const auto content = [&](const Json& owner) -> std::string {
    const auto contents = owner.is_object() ? owner.find("contents") : owner.end();
    if (contents == owner.end() || !contents->is_object()) return "";
    const auto value = contents->find(field);
    return value != contents->end() && value->is_string() ? value->get<std::string>() : "";
  };
  if (std::string common = content(job->job); !common.empty()) return common;
  const auto points = job->job.find("points");
  if (points == job->job.end() || !points->is_array()) return "";
  for (const Json& point : *points) {
    if (point.is_object() && point.contains("id") && point["id"] == id()) return content(point);
  }
  return "";
}

std::vector<Point> points_of(const std::vector<Source>& sources) {
  std::vector<Point> points;
  std::map<std::pair<std::string, std::string>, std::vector<const record::Row*>> seen;
  for (const Source& source : sources) {
    for (const record::Row& row : source.sweep.rows) {
      Point point{&row, nullptr, &source};
      const auto job = source.sweep.jobs.find(point.text("job"));
      if (job != source.sweep.jobs.end()) point.job = &job->second;
      auto& known = seen[{point.id(), point.text("job")}];
      const auto same = [&](const record::Row* other) { return *other == row; };
      if (std::any_of(known.begin(), known.end(), same)) continue;
      known.push_back(&row);
      points.push_back(point);
    }
  }
  return points;
}

std::string smoke_title(const std::string& text) { return "SMOKE: " + text; }

std::string setting_text(const Point& point, const std::string& column) {
  const std::string text = point.text(column);
  if (!text.empty()) return text;
  const std::optional<double> value = point.number(column);
  return value ? fmt::format("{}", *value) : "";
}

std::vector<std::string> model_names(const std::vector<Point>& points) {
  std::vector<std::string> names;
  for (const Point& point : points) names.push_back(point.text("model"));
  tell_apart(names, points, [](const Point& p) {
    const std::string weights = p.weights();
    return fmt::format("checkpoint {}{}", p.checkpoint_sha256().substr(0, 8),
                       weights.empty() ? "" : " " + weights);
  });
  return names;
}

void add_differing(std::vector<std::string>& names, const std::vector<Point>& points,
                   const std::string& column) {
  tell_apart(names, points, [&](const Point& p) { return column + " " + setting_text(p, column); });
}

std::vector<std::string> distinct_names(const std::vector<Point>& points,
                                        const std::vector<std::string>& columns) {
  std::vector<std::string> names = model_names(points);
  for (const std::string& column : columns) add_differing(names, points, column);
  tell_apart(names, points, [](const Point& p) { return "point " + p.id(); });
  tell_apart(names, points,
             [](const Point& p) { return p.source ? p.source->file.string() : std::string(); });
  return names;
}

}  // namespace tarflow::analysis
