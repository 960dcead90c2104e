#include "analysis/data/job_folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <sstream>
#include <tuple>

#include "analysis/data/sources.h"
#include "analysis/data/sweep_note.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

constexpr std::streamoff kTailBytes = 16384;  // of a log: more than its last lines take

std::string text_of(const Json& json, const char* name) {
  const auto value = json.find(name);
  return value != json.end() && value->is_string() ? value->get<std::string>() : "";
}

double number_of(const Json& json, const char* name) {
  const auto value = json.find(name);
  return value != json.end() && value->is_number() ? value->get<double>() : 0;
}

// An object, or nothing where the file is absent, half written or another's.
std::optional<Json> read_object(const fs::path& file) {
  std::ifstream in(file);
  if (!in) return std::nullopt;
  Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

std::string last_lines(const fs::path& log) {
  std::ifstream in(log, std::ios::binary | std::ios::ate);
  if (!in) return "";
  const std::streamoff size = in.tellg();
  in.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
    if (lines.size() > kLastLogLines) lines.pop_front();
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// A line when an attempt starts and one when it ends.
void read_attempts(const fs::path& file, JobFolderState& state) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    if (json.contains("start")) {
      ++state.attempts;
      state.start = text_of(json, "start");
      state.outcome = state.reason = "";
    }
    if (json.contains("end")) {
      state.outcome = text_of(json, "outcome");
      state.reason = text_of(json, "reason");
    }
  }
}

std::string progress_text(const fs::path& file) {
  const std::optional<Json> json = read_object(file);
  if (!json) return "";
  std::string text = text_of(*json, "phase");
  if (const double total = number_of(*json, "total"); total > 0)
    text +=
        fmt::format("{}{:.0f} of {:.0f}", text.empty() ? "" : " ", number_of(*json, "done"), total);
  return text;
}

JobFolderState state_of(const fs::path& path, const Json& job) {
  JobFolderState state;
  state.path = path;
  state.hash = path.filename().string();
  state.what = what_it_does(job);
  const auto points = job.find("points");
  if (points != job.end() && points->is_array()) state.points = points->size();
  read_attempts(path / "attempts.jsonl", state);
  if (state.attempts > 0 && state.outcome != "done")
    state.last_lines = last_lines(path / "log.txt");
  if (state.outcome.empty()) state.progress = progress_text(path / "progress.json");
  return state;
}

// Also where the job does not tell its points.
bool has_point_of(const SweepNote& note, const Json& job) {
  std::vector<std::string> ids = point_ids(job);
  if (ids.empty()) return true;
  note.drop_left(ids);
  return !ids.empty();
}

fs::path sweep_folder(const Source& source) { return fs::path(source.file).replace_extension(); }

}  // namespace

std::vector<JobFolderState> unmerged_jobs(const Source& source) {
  const SweepNote note = sweep_note(source);
  std::vector<JobFolderState> states;
  std::error_code ignored;  // a file that was copied alone has no folder of jobs beside it
  for (const auto& entry : fs::directory_iterator(sweep_folder(source) / "jobs", ignored)) {
    if (source.sweep.jobs.contains(entry.path().filename().string())) continue;
    const auto job = read_object(entry.path() / "job.json");
    if (job && has_point_of(note, *job)) states.push_back(state_of(entry.path(), *job));
  }
  std::sort(states.begin(), states.end(), [](const JobFolderState& a, const JobFolderState& b) {
    return std::tuple(!a.failed(), a.hash) < std::tuple(!b.failed(), b.hash);
  });
  return states;
}

std::optional<SweepProgress> sweep_progress(const Source& source) {
  const fs::path file = sweep_folder(source) / "progress.json";
  const std::optional<Json> json = read_object(file);
  if (!json) return std::nullopt;
  const auto count = [&](const char* name) {
    return static_cast<size_t>(std::max(0.0, number_of(*json, name)));
  };
  std::error_code ignored;
  const bool silent =
      fs::file_time_type::clock::now() - fs::last_write_time(file, ignored) > kSilence;
  return SweepProgress{count("points"),
                       count("done"),
                       count("running"),
                       count("failed"),
                       silent || json->value("over", Json(true)) != Json(false),
                       text_of(*json, "updated")};
}

}  // namespace tarflow::analysis
