#include "framework/schedule/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cmath>

namespace tarflow::schedule {
namespace {

constexpr double kPlainLineSeconds = 60;  // between lines about one job where there is no terminal

double number_or_zero(const Json& json, const char* key) {
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number()) return 0;
  return std::max(0.0, value->get<double>());
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

size_t terminal_width(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

double WorkerProgress::fraction() const {
  return total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0.0;
}

WorkerProgress worker_progress_from_json(const Json& json) {
  WorkerProgress progress;
  if (!json.is_object()) return progress;
  progress.done = number_or_zero(json, "done");
  progress.total = number_or_zero(json, "total");
  progress.images_per_second = number_or_zero(json, "images_per_second");
  const auto phase = json.find("phase");
  if (phase != json.end() && phase->is_string()) progress.phase = phase->get<std::string>();
  return progress;
}

std::string duration(double seconds) {
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string describe(const WorkerProgress& progress) {
  std::string text = progress.phase;
  if (progress.total > 0) {
    text += fmt::format("{}{:g}/{:g}", text.empty() ? "" : " ", progress.done, progress.total);
  }
  if (progress.images_per_second > 0) {
    text += fmt::format("{}{:.1f} images/s", text.empty() ? "" : ", ", progress.images_per_second);
  }
  return text;
}

std::optional<double> remaining_seconds(double elapsed, double fraction) {
  if (fraction <= 0) return std::nullopt;
  return elapsed * (1 - std::min(fraction, 1.0)) / fraction;
}

Progress::Progress(std::FILE* out, bool terminal, size_t jobs)
    : out_(out), terminal_(terminal), jobs_(jobs) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (!shown_) return;
  fmt::print(out_, "\r\033[K");
  std::fflush(out_);
  shown_ = false;
}

std::string Progress::heading() const { return fmt::format("[{}/{}] {}", started_, jobs_, label_); }

void Progress::show(const std::string& line) {
  if (terminal_) {
    // A wrapped line could not be overwritten.
    fmt::print(out_, "\r\033[K{}", line.substr(0, terminal_width(out_) - 1));
    shown_ = true;
  } else {
    fmt::print(out_, "{}\n", line);
  }
  std::fflush(out_);
}

void Progress::start_job(const std::string& label) {
  ++started_;
  label_ = label;
  last_ = {};
  job_begin_ = line_time_ = Clock::now();
  show(heading());
}

void Progress::update(const WorkerProgress& progress) {
  last_ = progress;
  if (!terminal_ && seconds_since(line_time_) < kPlainLineSeconds) return;
  line_time_ = Clock::now();
  const double elapsed = seconds_since(begin_);
  const double done =
      (static_cast<double>(started_) - 1 + progress.fraction()) / static_cast<double>(jobs_);
  std::string line = heading();
  if (const std::string text = describe(progress); !text.empty()) line += ": " + text;
  line += fmt::format(" | {}", duration(elapsed));
  if (const auto left = remaining_seconds(elapsed, done))
    line += fmt::format(", {} left", duration(*left));
  show(line);
}

void Progress::end_job(const std::string& outcome) {
  clear();
  std::string line =
      fmt::format("{}: {} in {}", heading(), outcome, duration(seconds_since(job_begin_)));
  if (last_.images_per_second > 0)
    line += fmt::format(", {:.1f} images/s", last_.images_per_second);
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

}  // namespace tarflow::schedule
