#include "framework/schedule/job_index.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <set>
#include <unordered_set>

#include "framework/record/record.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

constexpr int kIndexVersion = 1;

struct Stamp {
  std::string text;  // "" when there is no such file
  bool settled = false;
};

Stamp stamp_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const time_t newest = std::max(status.st_mtim.tv_sec, status.st_ctim.tv_sec);
  return {fmt::format("{} {}.{} {}.{} {}", status.st_size, status.st_mtim.tv_sec,
                      status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
                      status.st_ino),
          std::abs(std::time(nullptr) - newest) > kSettledSeconds};
}

}  // namespace

std::vector<JobFolder> folders_in(const fs::path& jobs_folder) {
  std::vector<JobFolder> folders;
  std::error_code failed;
  for (fs::directory_iterator entry(jobs_folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    folders.push_back({entry->path()});
  }
  std::sort(folders.begin(), folders.end(),
            [](const JobFolder& a, const JobFolder& b) { return a.path < b.path; });
  return folders;
}

JobIndex::JobIndex(fs::path folder) : folder_(std::move(folder)) {
  std::error_code ignored;
  if (!fs::exists(folder_ / "index.json", ignored)) return;
  try {
    const Json json = read_json_file(folder_ / "index.json");
    if (json.at("version") != kIndexVersion) return;
    known_.reserve(json.at("jobs").size());
    for (const auto& [name, entry] : json.at("jobs").items()) {
      Known known{entry.at("job").get<std::string>(),
                  entry.at("result").get<std::string>(),
                  entry.at("sha256").get<std::string>(),
                  entry.at("generation").get<int64_t>(),
                  {}};
      for (const Json& point : entry.at("points")) {
        known.points.emplace_back(point.at(0).get<std::string>(), point.at(1).get<std::string>());
      }
      known_.emplace(name, std::move(known));
    }
  } catch (const std::exception&) {
    known_.clear();
  }
}

void JobIndex::save() const {
  if (!changed_) return;
  Json jobs = Json::object();
  for (const auto& [name, known] : known_) {
    Json points = Json::array();
    for (const auto& [id, key] : known.points) points.push_back(Json::array({id, key}));
    jobs[name] = {{"job", known.job_stamp},
                  {"result", known.result_stamp},
                  {"sha256", known.sha256},
                  {"generation", known.generation},
                  {"points", std::move(points)}};
  }
  try {
    write_json_file(folder_ / "index.json", {{"version", kIndexVersion}, {"jobs", jobs}});
  } catch (const Error&) {
    // The next run looks again; the results themselves say when the folder cannot be written.
  }
}

// What a folder holds, nullptr when that is no whole result.
const JobIndex::Known* JobIndex::look(const JobFolder& folder, std::vector<Problem>& problems) {
  const std::string name = folder.path.filename().string();
  fs::path result = folder.result();
  Stamp written = stamp_of(result);
  if (written.text.empty()) {  // a forced run that was killed leaves the old result
    result = folder.previous();
    written = stamp_of(result);
  }
  const Stamp job = stamp_of(folder.job());
  if (written.text.empty() || job.text.empty()) return nullptr;
  const auto found = known_.find(name);
  if (found != known_.end() && found->second.job_stamp == job.text &&
      found->second.result_stamp == written.text) {
    return &found->second;
  }
  try {
    const Job content = job_from_json(read_json_file(folder.job()));
    Known known{job.text, written.text, record::verify(result), content.generation, {}};
    for (const JobPoint& point : content.points) known.points.emplace_back(point.id, point.key);
    if (written.settled && job.settled) {
      changed_ = true;
    } else {
      known.result_stamp.clear();  // to be looked at again
    }
    return &(known_[name] = std::move(known));
  } catch (const Error& failure) {
    Problem problem = failure.problems().front();
    problem.repair = "its points are computed again";
    problems.push_back(std::move(problem));
    return nullptr;
  }
}

DonePoints JobIndex::find_done(const Jobs& jobs) {
  std::unordered_set<std::string_view> wanted;
  for (const Job& job : jobs) {
    for (const JobPoint& point : job.points) wanted.insert(point.key);
  }
  DonePoints done;
  std::set<std::string> present;
  for (const JobFolder& folder : folders_in(folder_ / "jobs")) {
    present.insert(folder.path.filename().string());
    std::vector<Problem> problems;
    const Known* known = look(folder, problems);
    const bool asked =
        !known || std::any_of(known->points.begin(), known->points.end(),
                              [&](const auto& p) { return wanted.contains(p.second); });
    if (asked) done.problems.insert(done.problems.end(), problems.begin(), problems.end());
    if (!known) continue;
    std::error_code ignored;
    const fs::path result =
        fs::exists(folder.result(), ignored) ? folder.result() : folder.previous();
    for (const auto& [id, key] : known->points) {
      if (!wanted.contains(key)) continue;
      DonePoint& point = done.by_key[key];
      if (!point.job.empty() && point.generation >= known->generation) continue;
      point = {id, folder.path.filename().string(), result, known->sha256, known->generation};
    }
  }
  changed_ = std::erase_if(known_,
                           [&](const auto& entry) { return !present.contains(entry.first); }) > 0 ||
             changed_;
  return done;
}

}  // namespace tarflow::schedule
