#include "framework/job/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.h"

namespace tarflow::job {
namespace {

constexpr size_t kMostLines = 16;      // of running jobs at once
constexpr size_t kShortestLabel = 12;  // code points that stay of a job's label
constexpr size_t kAnyWidth = 1 << 20;  // where there is no terminal

double number_or_zero(const Json& json, const char* key) {
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number()) return 0;
  return std::max(0.0, value->get<double>());
}

std::string text_or_empty(const Json& json, const char* key) {
  const auto value = json.find(key);
  return value != json.end() && value->is_string() ? value->get<std::string>() : "";
}

bool is_true(const Json& json, const char* key) {
  const auto value = json.find(key);
  return value != json.end() && value->is_boolean() && value->get<bool>();
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::chrono::nanoseconds in_seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(1e9 * seconds));
}

size_t code_points(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

size_t terminal_width(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

double WorkerProgress::fraction() const {
  if (finishing) return 1;
  if (preparing || total <= 0) return 0;
  return std::clamp((done + share * piece) / total, 0.0, 1.0);
}

WorkerProgress read_progress(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  try {
    return worker_progress_from_json(read_json_file(file));
  } catch (const Error&) {
    return {};  // half a line of progress is no reason to stop
  }
}

WorkerProgress worker_progress_from_json(const Json& json) {
  WorkerProgress progress;
  if (!json.is_object()) return progress;
  progress.done = number_or_zero(json, "done");
  progress.total = number_or_zero(json, "total");
  progress.images_per_second = number_or_zero(json, "images_per_second");
  progress.seconds_left = number_or_zero(json, "seconds_left");
  progress.working_seconds = number_or_zero(json, "working_seconds");
  progress.done_before = number_or_zero(json, "done_before");
  progress.piece = number_or_zero(json, "piece");
  progress.share = std::min(1.0, number_or_zero(json, "share"));
  progress.preparing = is_true(json, "preparing");
  progress.resumable = is_true(json, "resumable");
  if (progress.preparing) progress.seconds_left = 0;  // of the preparation alone
  progress.phase = text_or_empty(json, "phase");
  progress.unit = text_or_empty(json, "unit");
  progress.rate_of = text_or_empty(json, "rate_of");
  progress.finishing = is_true(json, "finishing");
  return progress;
}

std::string duration(double seconds) {
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// "64/256 images"; "" where a count tells nothing.
std::string count_text(const WorkerProgress& progress) {
  const bool nameless = progress.total == 1 && progress.unit.empty();
  if (progress.total <= 0 || (nameless && !progress.phase.empty())) return "";
  const std::string count = fmt::format("{:.0f}/{:.0f}", progress.done, progress.total);
  return progress.unit.empty() ? count : fmt::format("{} {}", count, progress.unit);
}

std::string describe(const WorkerProgress& progress) {
  std::string text = (progress.finishing ? "all images are made, " : "") + progress.phase;
  const std::string count = count_text(progress);
  if (progress.piece > 0 && progress.total > 0) {
    const double done = (progress.done + progress.share * progress.piece) / progress.total;
    text +=
        fmt::format("{}{:.0f} %", text.empty() ? "" : " ", std::floor(100 * std::min(done, 1.0)));
    if (!count.empty()) text += fmt::format(", {} ready", count);
  } else if (!count.empty()) {
    text += (text.empty() ? "" : " ") + count;
  }
  // A later phase tells the rate of the one that made images.
  const bool of_this = progress.rate_of.empty() || progress.rate_of == progress.phase;
  if (progress.images_per_second > 0 && of_this) {
    text += fmt::format("{}{:.1f} images/s", text.empty() ? "" : ", ", progress.images_per_second);
  }
  return text;
}

std::string shortened(const std::string& text, size_t width) {
  if (code_points(text) <= width || width == 0) return text;
  size_t at = 0, kept = 0;
  for (; at < text.size(); ++at) {
    if ((static_cast<uint8_t>(text[at]) & 0xc0) == 0x80) continue;
    if (kept++ == width - 1) break;
  }
  return text.substr(0, at) + "…";
}

std::optional<double> remaining_seconds(double elapsed, double fraction) {
  if (fraction <= 0) return std::nullopt;
  return elapsed * (1 - std::min(fraction, 1.0)) / fraction;
}

namespace {

// "2:03 left"; "" where nothing tells it.
std::string left_text(const WorkerProgress& progress, double elapsed) {
  double left = progress.seconds_left;
  if (left <= 0) {
    // Of what follows the images only its own time tells.
    if (progress.finishing || progress.fraction() <= 0) return "";
    left = remaining_seconds(elapsed, progress.fraction()).value_or(0);
  }
  return duration(left) + " left";
}

}  // namespace

Progress::Progress(std::FILE* out, bool terminal, size_t jobs, double cost)
    : out_(out), terminal_(terminal), jobs_(jobs), cost_(cost) {}

// Errors are nobody's concern: whoever read this may have closed the pipe, and the jobs go on.
void Progress::print(const std::string& text) { std::fputs(text.c_str(), out_); }

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_ == 0) return;
  print("\r");
  if (shown_ > 1) print(fmt::format("\033[{}A", shown_ - 1));
  print("\033[J");
  std::fflush(out_);
  shown_ = 0;
}

Progress::Line* Progress::find(const std::string& hash) {
  const auto found = std::find_if(lines_.begin(), lines_.end(),
                                  [&](const Line& line) { return line.hash == hash; });
  return found == lines_.end() ? nullptr : &*found;
}

std::string Progress::text(const Line& line, size_t width) const {
  const std::string number = fmt::format("[{}/{}] ", line.number, jobs_);
  std::string state = describe(line.progress);
  if (!state.empty()) state.insert(0, ": ");
  const double elapsed = seconds_since(line.begin);
  const std::string so_far = fmt::format("{} so far", duration(elapsed));
  const std::string left = left_text(line.progress, elapsed);
  if (left.empty()) {
    state += (state.empty() ? ": " : ", ") + so_far;
  } else {
    const std::string full = fmt::format(", about {}, {}", left, so_far);
    const bool fits = number.size() + kShortestLabel + code_points(state + full) <= width;
    state += fits ? full : ", " + left;
  }
  const size_t taken = number.size() + code_points(state);
  const size_t room = std::max(kShortestLabel, width > taken ? width - taken : 0);
  return shortened(number + shortened(line.label, room) + state, width);
}

std::string Progress::summary() const {
  std::string text =
      fmt::format("{} of {} jobs done, {} running", finished_ - failed_, jobs_, lines_.size());
  if (failed_ > 0) text += fmt::format(", {} failed", failed_);
  const double elapsed = seconds_since(begin_);
  text += fmt::format(", {} so far", duration(elapsed));
  double done = finished_cost_;
  bool finishing = false;  // then how long is not known
  for (const Line& line : lines_) {
    done += line.cost * line.progress.fraction();
    finishing = finishing || line.progress.finishing;
  }
  const auto left = remaining_seconds(elapsed, cost_ > 0 ? done / cost_ : 0);
  if (left && !finishing) {
    text += fmt::format(", about {} left for all", duration(*left));
  }
  return text;
}

void Progress::redraw() {
  if (!terminal_) {
    for (Line& line : lines_) {
      if (Clock::now() < line.next) continue;
      line.next = Clock::now() + in_seconds(kPlainLineSeconds);
      print(fmt::format("{}\n", text(line, kAnyWidth)));
    }
    std::fflush(out_);
    return;
  }
  clear();
  const size_t width = terminal_width(out_) - 1;  // a wrapped line could not be overwritten
  std::vector<std::string> texts;
  for (const Line& line : lines_) {
    if (texts.size() < kMostLines) texts.push_back(text(line, width));
  }
  if (lines_.size() > kMostLines) {
    texts.push_back(fmt::format("and {} more", lines_.size() - kMostLines));
  }
  if (jobs_ > 1) texts.push_back(summary());
  for (size_t i = 0; i < texts.size(); ++i) {
    print(fmt::format("{}{}", i ? "\n" : "", shortened(texts[i], width)));
  }
  shown_ = texts.size();
  std::fflush(out_);
}

void Progress::message(const std::string& text) {
  clear();
  print(fmt::format("{}\n", text));
  std::fflush(out_);
}

void Progress::start_job(const std::string& hash, const std::string& label, double cost) {
  const Clock::time_point now = Clock::now();
  // A further attempt keeps the number of the first.
  const size_t number = numbers_.try_emplace(hash, numbers_.size() + 1).first->second;
  lines_.push_back({hash, label, number, cost, {}, now, now + in_seconds(kFirstLineSeconds)});
  if (!terminal_) message(fmt::format("[{}/{}] {}", number, jobs_, label));
}

void Progress::update(const std::string& hash, const WorkerProgress& progress) {
  if (Line* line = find(hash)) line->progress = progress;
}

void Progress::end_job(const std::string& hash, const std::string& outcome, bool finished) {
  const Line* line = find(hash);
  if (!line) return;
  std::string text = fmt::format("[{}/{}] {}: {} in {}", line->number, jobs_, line->label, outcome,
                                 duration(seconds_since(line->begin)));
  if (const WorkerProgress& last = line->progress; last.images_per_second > 0) {
    text += fmt::format(", {}{:.1f} images/s", last.rate_of.empty() ? "" : last.rate_of + " at ",
                        last.images_per_second);
  }
  if (finished) {
    ++finished_;
    finished_cost_ += line->cost;
    if (outcome != "done") ++failed_;
  }
  lines_.erase(lines_.begin() + (line - lines_.data()));
  message(text);
}

}  // namespace tarflow::job
