// What a running experiment is given and what it hands back.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/core/json.h"
#include "framework/model/weights.h"
#include "framework/record/record.h"
#include "framework/schedule/job.h"

namespace tarflow::experiments {

class JobContext {
 public:
  // exclusive: whoever started the job runs nothing else on its device.
  JobContext(schedule::Job job, std::filesystem::path folder, bool exclusive);

  const schedule::Job& job() const { return job_; }
  const std::filesystem::path& folder() const { return folder_; }

  bool exclusive() const { return exclusive_; }

  size_t point_count() const { return job_.points.size(); }
  std::string point_id(size_t index) const;
  // The settings all points share, or those of one point, shared ones included.
  const Json& settings() const { return settings_; }
  Json point_settings(size_t index) const;

  // Loads the job's model; throws Error when the job has none or the file does not hold what was
  // planned.
  Model load_model(const at::Device& device, ComputeType compute);

  // Results. Cells of a point's row; settings columns are added by the worker.
  void set(size_t point, const std::string& column, record::Cell value);
  void set_all(const std::string& column, const record::Cell& value);
  void add(record::Array array) { arrays_.push_back(std::move(array)); }

  // Says how far the job is; written to progress.json at most a few times a second.
  void progress(const std::string& phase, int64_t done, int64_t total,
                double images_per_second = 0);
  // A line in the job's log.
  void log(const std::string& line);

  const std::vector<record::Row>& rows() const { return rows_; }
  std::vector<record::Array>& arrays() { return arrays_; }
  Json& environment() { return environment_; }

 private:
  schedule::Job job_;
  Json settings_;
  std::filesystem::path folder_;
  bool exclusive_;
  std::vector<record::Row> rows_;
  std::vector<record::Array> arrays_;
  Json environment_ = Json::object();
  std::chrono::steady_clock::time_point last_progress_{};
};

// Seconds on a wall clock, the device's queue drained at both ends.
class Stopwatch {
 public:
  explicit Stopwatch(const at::Device& device);
  double seconds() const;  // since construction

 private:
  at::Device device_;
  std::chrono::steady_clock::time_point start_;
};

// float32 or int64 or uint8 or float64 tensors of any device as a dataset.
record::Array to_array(std::string path, const at::Tensor& tensor, std::string unit,
                       std::string meaning);

}  // namespace tarflow::experiments
