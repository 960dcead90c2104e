#include "experiments/worker/job_context.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdio>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/shape.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{300};

}  // namespace

JobContext::JobContext(job::Job job, const ExperimentSchema& schema, std::filesystem::path folder,
                       JobOptions options)
    : job_(std::move(job)),
      schema_(schema),
      settings_(job_.settings.json()),
      folder_(std::move(folder)),
      options_(std::move(options)),
      inputs_(job_, cache_folder(),
              [this](const std::filesystem::path& path) {
                log(fmt::format("reading {} once more: it is not as it was when planned",
                                path.string()));
              }),
      rows_(job_.points.size()) {
  if (!options_.comm) options_.comm = dist::one_process();
}

std::string JobContext::point_id(size_t index) const { return job_.points.at(index).id; }

Json JobContext::point_settings(size_t index) const {
  Json settings = settings_;
  settings.update(job_.points.at(index).settings.json());
  return settings;
}

std::string JobContext::content_of(const std::string& field, const std::string& path) const {
  const auto content = [&](const Json& settings, const Json& contents) -> std::string {
    if (settings.value(field, std::string()) != path || !contents.is_object()) return "";
    return contents.value(field, std::string());
  };
  std::string found = content(settings_, job_.contents.get());
  for (const job::JobPoint& point : job_.points) {
    if (found.empty()) found = content(point.settings.json(), point.contents.get());
  }
  return found;
}

at::Device JobContext::device() const {
  return options_.device ? *options_.device
                         : device_from(settings_.value("device", std::string("auto")));
}

Model JobContext::load_model(const at::Device& device, ComputeType compute) {
  if (job_.model.is_null())
    throw Error(fmt::format("experiment {} was planned without a model", job_.experiment));
  const Json& model = job_.model.get();
  if (const auto random = model.find("random_weights"); random != model.end()) {
    const ModelShape drawn = shape_from_json(job_.model.at("shape"));
    log(fmt::format("model {}: random weights ({})", job_.model.at("name").get<std::string>(),
                    drawn.str()));
    return tarflow::random_weights(drawn, random->get<uint64_t>(), device, compute);
  }
  const std::filesystem::path path = job_.model.at("checkpoint").get<std::string>();
  const ModelShape shape = shape_from_json(job_.model.at("shape"));
  log(fmt::format("model {}: {} ({})", job_.model.at("name").get<std::string>(), path.string(),
                  shape.str()));
  return inputs_.read(path.string(), [&] {
    const checkpoint::FoundState state = checkpoint::find_state(
        checkpoint::Checkpoint::open(path), model.value("weights", std::string()));
    return tarflow::load_model(state.tensors, shape, device, compute);
  });
}

void JobContext::set(size_t point, const std::string& column, record::Cell value) {
  if (comm().first()) rows_.at(point)[column] = std::move(value);
}

void JobContext::set_all(const std::string& column, const record::Cell& value) {
  for (size_t point = 0; point < rows_.size(); ++point) set(point, column, value);
}

void JobContext::add_status(size_t point, const std::string& text) {
  if (!comm().first()) return;
  std::string status = text;
  if (const auto known = rows_.at(point).find("status"); known != rows_[point].end())
    status = std::get<std::string>(known->second) + "; " + text;
  set(point, "status", status);
  log(fmt::format("note: point {}: {}", point_id(point), text));
}

void JobContext::add(const std::string& path, const std::vector<std::string>& names,
                     record::Array values) {
  if (comm().first()) arrays_.push_back(declared_array(schema_, path, names, std::move(values)));
}

void JobContext::stop_if_requested() const {
  if (stop_requested()) stop();
}

void JobContext::stop() const {
  throw Stopped{resumable_ ? "stopped; to be continued"
                           : "stopped; the job will start from the beginning"};
}

bool JobContext::may_tell(const std::string& phase, bool complete) {
  if (!comm().first()) return false;
  const Clock::time_point now = Clock::now();
  if (phase != phase_) {
    phase_ = phase;
    phase_start_ = now;
    phase_first_ = -1;
  } else if (!complete && now - last_progress_ < kProgressInterval) {
    return false;
  }
  last_progress_ = now;
  return true;
}

void JobContext::progress(const std::string& phase, int64_t done, int64_t total,
                          double images_per_second, const char* unit) {
  if (may_tell(phase, done >= total)) tell(done, total, 0, 0, images_per_second, unit);
}

void JobContext::progress_inside(const std::string& phase, int64_t done, int64_t total,
                                 int64_t count, double share, double images_per_second) {
  // The one thing that a total of 1 counts has no name.
  const char* unit = total == 1 ? "" : "images";
  if (may_tell(phase, false)) tell(done, total, count, share, images_per_second, unit);
}

void JobContext::tell(int64_t done, int64_t total, int64_t count, double share,
                      double images_per_second, const char* unit) {
  const Clock::time_point now = Clock::now();
  const auto seconds_since = [&](Clock::time_point start) {
    return std::chrono::duration<double>(now - start).count();
  };
  const double place = static_cast<double>(done) + share * static_cast<double>(count);
  if (phase_first_ < 0) phase_first_ = place;
  if (work_start_ == Clock::time_point{}) {
    work_start_ = now;
    done_before_ = total > 0 ? place / static_cast<double>(total) : 0;
  }
  // Later phases make no images, and keep the rate of the sampling.
  const double gained = place - phase_first_, seconds = seconds_since(phase_start_);
  if (images_per_second > 0) {
    rate_ = images_per_second;
  } else if (phase_ == kSamplingPhase && gained > 0 && seconds > 0) {
    rate_ = gained / seconds;
  }
  if (images_per_second > 0 || phase_ == kSamplingPhase) rate_of_ = phase_;
  Json state = {{"phase", phase_},
                {"done", done},
                {"total", total},
                {"piece", count},
                {"share", share},
                {"unit", unit},
                {"rate_of", rate_of_},
                {"finishing", finishing_},
                {"images_per_second", rate_},
                {"preparing", preparing_},
                {"resumable", resumable_},
                {"updated", ++updates_},
                {"working_seconds", seconds_since(work_start_)},
                {"done_before", done_before_}};
  if (gained > 0 && static_cast<double>(total) >= place) {
    state["seconds_left"] = seconds * (static_cast<double>(total) - place) / gained;
  }
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
  if (!comm().first()) return;
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

}  // namespace tarflow::experiments
