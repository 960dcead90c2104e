#include "framework/job/attempts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

#include "framework/core/error.h"

namespace tarflow::job {
namespace {

constexpr int64_t kMostDoublings = 20;  // of a second: 12 days

}  // namespace

double pause_before_retry(double first, int64_t tries) {
  return std::ldexp(first, static_cast<int>(std::min<int64_t>(tries, kMostDoublings)));
}

Attempts read_attempts(const std::filesystem::path& file) {
  Attempts attempts;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    try {
      if (json.contains("start")) {
        attempts.last = Attempt{};
        attempts.count = attempts.last->number = json.value("attempt", attempts.count + 1);
        attempts.last->start = json.at("start").get<std::string>();
        attempts.last->host = json.value("host", "");
        attempts.last->pid = json.value("pid", int64_t{0});
        attempts.last->place = json.value("place", "");
      }
      // Both in one line as earlier versions wrote it.
      if (json.contains("end") && attempts.last) {
        attempts.last->end = json.at("end").get<std::string>();
        const bool clean = json.value("exit", -1) == 0;
        attempts.last->outcome = json.value("outcome", clean ? "done" : "failed");
        attempts.last->reason = json.value("reason", "");
        attempts.last->seconds = json.value("seconds", 0.0);
      }
    } catch (const Json::exception&) {
      // Whatever it is, it is no line of ours.
    }
  }
  return attempts;
}

void append_line(const std::filesystem::path& file, const std::string& line) {
  const bool torn = [&] {  // a killed driver or a full disk left half a line
    std::ifstream in(file, std::ios::binary | std::ios::ate);
    if (!in || in.tellg() <= 0) return false;
    in.seekg(-1, std::ios::end);
    return in.get() != '\n';
  }();
  std::ofstream out(file, std::ios::app);
  out << (torn ? "\n" : "") << line << "\n" << std::flush;
  if (!out) {
    throw Error(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)),
                "make room on the disk, or see who may write there; finished jobs are kept");
  }
}

void append_start(const std::filesystem::path& file, const Attempt& attempt) {
  Json line = {{"attempt", attempt.number},
               {"start", attempt.start},
               {"host", attempt.host},
               {"pid", attempt.pid}};
  if (!attempt.place.empty()) line["place"] = attempt.place;
  append_line(file, canonical(line));
}

void append_end(const std::filesystem::path& file, const Attempt& attempt, int exit_code,
                int signal) {
  append_line(file, canonical({{"attempt", attempt.number},
                               {"end", attempt.end},
                               {"exit", exit_code},
                               {"signal", signal},
                               {"seconds", attempt.seconds},
                               {"outcome", attempt.outcome},
                               {"reason", attempt.reason}}));
}

}  // namespace tarflow::job
