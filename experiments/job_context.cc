#include "experiments/job_context.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstring>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/shape.h"

namespace tarflow::experiments {

JobContext::JobContext(schedule::Job job, std::filesystem::path folder, bool exclusive)
    : job_(std::move(job)),
      settings_(job_.settings.json()),
      folder_(std::move(folder)),
      exclusive_(exclusive),
      rows_(job_.points.size()) {}

std::string JobContext::point_id(size_t index) const { return job_.points.at(index).id; }

Json JobContext::point_settings(size_t index) const {
  Json settings = settings_;
  settings.update(job_.points.at(index).settings.json());
  return settings;
}

Model JobContext::load_model(const at::Device& device, ComputeType compute) {
  if (job_.model.is_null())
    throw Error(fmt::format("experiment {} was planned without a model", job_.experiment));
  const std::filesystem::path path = job_.model.at("checkpoint").get<std::string>();
  const ModelShape shape = shape_from_json(job_.model.at("shape"));
  log(fmt::format("model {}: {} ({})", job_.model.at("name").get<std::string>(), path.string(),
                  shape.str()));
  return tarflow::load_model(checkpoint::find_state(checkpoint::Checkpoint::open(path)), shape,
                             device, compute);
}

void JobContext::set(size_t point, const std::string& column, record::Cell value) {
  rows_.at(point)[column] = std::move(value);
}

void JobContext::set_all(const std::string& column, const record::Cell& value) {
  for (record::Row& row : rows_) row[column] = value;
}

void JobContext::progress(const std::string& phase, int64_t done, int64_t total,
                          double images_per_second) {
  const auto now = std::chrono::steady_clock::now();
  if (done < total && now - last_progress_ < std::chrono::milliseconds(300)) return;
  last_progress_ = now;
  const Json state = {
      {"phase", phase}, {"done", done}, {"total", total}, {"images_per_second", images_per_second}};
  // Renamed into place without fsync: losing it in a crash costs nothing.
  const std::filesystem::path aside = folder_ / ".progress.json.part";
  if (FILE* file = std::fopen(aside.c_str(), "w")) {
    const std::string text = state.dump() + "\n";
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    std::error_code ignored;
    if (std::fclose(file) == 0 && written)
      std::filesystem::rename(aside, folder_ / "progress.json", ignored);
  }
}

void JobContext::log(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

Stopwatch::Stopwatch(const at::Device& device) : device_(device) {
  synchronize(device_);
  start_ = std::chrono::steady_clock::now();
}

double Stopwatch::seconds() const {
  synchronize(device_);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

record::Array to_array(std::string path, const at::Tensor& tensor, std::string unit,
                       std::string meaning) {
  record::Array array;
  const at::Tensor values = tensor.detach().cpu().contiguous();
  switch (values.scalar_type()) {
    case at::kFloat:
      array.type = record::ArrayType::kFloat32;
      break;
    case at::kDouble:
      array.type = record::ArrayType::kFloat64;
      break;
    case at::kLong:
      array.type = record::ArrayType::kInt64;
      break;
    case at::kByte:
      array.type = record::ArrayType::kUInt8;
      break;
    default:
      throw Error(fmt::format("dataset {} has a type that records do not hold", path));
  }
  array.path = std::move(path);
  array.shape.assign(values.sizes().begin(), values.sizes().end());
  array.data.resize(values.nbytes());
  if (!array.data.empty())
    std::memcpy(array.data.data(), values.const_data_ptr(), array.data.size());
  array.unit = std::move(unit);
  array.meaning = std::move(meaning);
  return array;
}

}  // namespace tarflow::experiments
