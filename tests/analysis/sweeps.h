// Small sweep records in memory for the tests of analysis.
#pragma once

#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/published.h"
#include "framework/record/record.h"

namespace tarflow::analysis::testing {

inline std::filesystem::path published_file() {
  return std::filesystem::path(TARFLOW_SOURCE_DIR) / "analysis/data/published.yaml";
}

inline Published published_figures() { return read_published(published_file()); }

inline record::JobRecord make_job(const std::string& hash, const std::string& experiment,
                                  const std::string& checkpoint,
                                  const std::vector<std::string>& points) {
  record::JobRecord job;
  job.hash = hash;
  job.job = {{"hash", hash},
             {"experiment", experiment},
             {"settings", Json::object()},
             {"points", Json::array()},
             {"model",
              {{"name", "m"}, {"checkpoint", "/somewhere/" + checkpoint}, {"sha256", "0123abcd"}}}};
  for (const std::string& id : points) job.job["points"].push_back({{"id", id}});
  return job;
}

// The columns that all points of experiment evaluate have, with times that are valid.
inline record::Row evaluate_row(const std::string& id, const std::string& job,
                                const std::string& strategy, const std::string& blocks,
                                double total_seconds) {
  return {{"point", id},
          {"job", job},
          {"experiment", std::string("evaluate")},
          {"model", std::string("demo")},
          {"device", std::string("cpu")},
          {"compute", std::string("fp32")},
          {"seed", int64_t{0}},
          {"strategy", strategy},
          {"strategy_blocks", blocks},
          {"cfg", 1.0},
          {"attn_temp", 1.0},
          {"self_denoising_lr", 0.0},
          {"num_images", int64_t{256}},
          {"exclusive", int64_t{1}},
          {"interrupted", int64_t{0}},
          {"smoke", int64_t{0}},
          {"sampling_seconds", total_seconds * 0.75},
          {"total_seconds", total_seconds},
          {"images_per_second", 256 / total_seconds},
          {"block_passes", strategy == "For" ? 2.0 : 12.5},
          {"distance", 1.25},
          {"distance_name", std::string("FD(small)")},
          {"distance_images", int64_t{256}},
          {"reference_images", int64_t{1000}},
          {"features", int64_t{96}},
          {"nonfinite_images", int64_t{0}}};
}

// Columns of `rows`, with the types found there.
inline std::vector<Column> columns_of(const std::vector<record::Row>& rows) {
  std::map<std::string, ColumnType> types;
  for (const record::Row& row : rows) {
    for (const auto& [name, cell] : row) types[name] = static_cast<ColumnType>(cell.index());
  }
  std::vector<Column> columns;
  for (const auto& [name, type] : types) columns.push_back({name, type, "", name, false});
  return columns;
}

inline Source make_source(const std::string& name, std::vector<record::Row> rows,
                          std::vector<record::JobRecord> jobs) {
  Source source{name + ".h5", {name, columns_of(rows), std::move(rows), {}}};
  for (record::JobRecord& job : jobs) source.sweep.jobs[job.hash] = std::move(job);
  return source;
}

inline record::Array images_array(int64_t count, int64_t size, const std::vector<float>& values) {
  return record::make_array("images/before_denoising", {count, 3, size, size}, values, "",
                            "images (n,3,H,W)");
}

inline std::vector<record::Array> metric_arrays(const std::string& norm,
                                                const std::vector<double>& igm_z,
                                                const std::vector<double>& igm_zero,
                                                const std::vector<double>& crm) {
  const int64_t blocks = static_cast<int64_t>(crm.size());
  double sum = 0;
  for (const double value : crm) sum += value;
  std::vector<double> percent;
  for (const double value : crm) percent.push_back(100 * value / sum);
  const std::string folder = "igm_crm/norm_" + norm + "/";
  return {record::make_array(folder + "crm", {blocks}, crm, "", "CRM"),
          record::make_array(folder + "crm_percent", {blocks}, percent, "%", "CRM"),
          record::make_array(folder + "igm_z", {blocks}, igm_z, "", "IGM"),
          record::make_array(folder + "igm_zero", {blocks}, igm_zero, "", "IGM")};
}

inline record::Row igm_crm_row(const std::string& id, const std::string& job,
                               const std::string& model) {
  return {{"point", id},
          {"job", job},
          {"experiment", std::string("igm_crm")},
          {"model", model},
          {"device", std::string("cpu")},
          {"compute", std::string("fp32")},
          {"num_images", int64_t{500}},
          {"images", std::string("/somewhere/cifar10")}};
}

}  // namespace tarflow::analysis::testing
