#include "framework/schedule/execute.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>

#include "framework/core/error.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLogLines = 15;
constexpr uintmax_t kLogTail = 64 << 10;  // bytes that surely hold the last lines worth showing

std::string now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

void append_line(const fs::path& file, const std::string& line) {
  std::ofstream out(file, std::ios::app);
  out << line << "\n" << std::flush;
  if (!out) throw Error(fmt::format("cannot write {}", file.string()), "is the disk full?");
}

// A folder in which nothing but what is worth keeping is left of earlier attempts.
void prepare(const Job& job, const JobFolder& folder) {
  std::error_code failed;
  fs::create_directories(folder.path, failed);
  if (failed) {
    throw Error(
        fmt::format("cannot make the folder {}: {}", folder.path.string(), failed.message()));
  }
  for (const fs::path& stale : {folder.result(), folder.progress()}) fs::remove(stale, failed);
  std::vector<fs::path> parts;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path)) {
    if (entry.path().extension() == ".part") parts.push_back(entry.path());
  }
  for (const fs::path& part : parts) fs::remove(part, failed);
  write_json_file(folder.job(), to_json(job));
}

WorkerProgress read_progress(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  try {
    return worker_progress_from_json(read_json_file(file));
  } catch (const Error&) {
    return {};  // half a line of progress is no reason to stop
  }
}

// Why there is no whole result, "" when there is one: then the work is done, even if the worker
// stumbled on its way out.
std::string fault(const Exit& exit, const JobFolder& folder, const Job& job) {
  std::error_code ignored;
  const bool has_result = fs::exists(folder.result(), ignored);
  std::string damage;
  if (has_result) {
    try {
      check_result(folder, job);
      return "";
    } catch (const Error& failure) {
      damage = failure.what();
    }
    fs::rename(folder.result(), folder.path / "result.rejected.h5", ignored);
  }
  if (!exit.ok()) return "the worker " + describe(exit);
  return has_result ? damage : "the worker ended without a result";
}

}  // namespace

std::vector<std::string> last_lines(const fs::path& file, uintmax_t offset, size_t count) {
  std::error_code failed;
  const uintmax_t size = fs::file_size(file, failed);
  if (failed) return {};
  const uintmax_t tail = size > kLogTail ? size - kLogTail : 0;
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(std::max(offset, tail)));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (lines.size() > count)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

Outcome execute(const Job& job, const JobFolder& folder, const fs::path& worker,
                const HeldSignals& signals, Progress& progress) {
  prepare(job, folder);
  const std::string start = now(), host = host_name();
  append_line(folder.log(), fmt::format("=== attempt of {} on {} ===", start, host));
  const uintmax_t log_begin = fs::file_size(folder.log());
  const pid_t pid =
      start_worker({worker.string(), folder.path.string(), "--exclusive"}, folder.log(), signals);
  const Exit exit =
      wait_for_worker(pid, signals, [&] { progress.update(read_progress(folder.progress())); });
  append_line(folder.attempts(), canonical({{"start", start},
                                            {"end", now()},
                                            {"exit", exit.code},
                                            {"signal", exit.signal},
                                            {"host", host},
                                            {"pid", pid}}));
  progress.update(read_progress(folder.progress()));
  Outcome outcome{job.hash, false, exit.interrupted, fault(exit, folder, job), folder.log(), {}};
  outcome.ok = outcome.reason.empty();
  if (!outcome.ok) outcome.log_end = last_lines(folder.log(), log_begin, kLogLines);
  return outcome;
}

}  // namespace tarflow::schedule
