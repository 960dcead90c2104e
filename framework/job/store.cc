#include "framework/job/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "framework/core/aside.h"
#include "framework/core/stamp.h"
#include "framework/job/attempts.h"
#include "framework/record/opened.h"
#include "framework/record/record.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

constexpr int kIndexVersion = 1;

// As job.json tells them; nothing where it does not.
std::optional<std::vector<JobPoint>> points_in(const JobFolder& folder) {
  try {
    Job job = read_job(folder.job());
    if (names_points(job)) return std::move(job.points);
  } catch (const Error&) {
    // Nothing is known then.
  }
  return std::nullopt;
}

std::vector<std::string> keys_in(const JobFolder& folder) {
  std::vector<std::string> keys;
  for (const JobPoint& point : points_in(folder).value_or(std::vector<JobPoint>())) {
    keys.push_back(point.key);
  }
  return keys;
}

// Sorts what is bad of a sweep's results by what becomes of it.
void add_bad(DonePoints& done, BadResult bad, record::Fault fault) {
  if (fault == record::Fault::kDamaged) {
    done.damaged.push_back(std::move(bad));
    return;
  }
  if (bad.keys.empty()) done.kept_folders.insert(bad.folder.path.filename().string());
  done.kept.push_back(std::move(bad));
}

}  // namespace

std::vector<JobFolder> folders_in(const fs::path& jobs_folder) {
  std::vector<JobFolder> folders;
  std::error_code failed;
  for (fs::directory_iterator entry(jobs_folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    folders.push_back({entry->path()});
  }
  if (failed && !is_absent(jobs_folder)) {
    throw Error(fmt::format("cannot list {}: {}", jobs_folder.string(), failed.message()),
                "finished jobs are kept; run the same command again when the folder can be read");
  }
  std::sort(folders.begin(), folders.end(),
            [](const JobFolder& a, const JobFolder& b) { return a.path < b.path; });
  return folders;
}

JobStore::JobStore(fs::path folder) : folder_(std::move(folder)) { reload(); }

void JobStore::reload() {
  std::error_code ignored;
  if (!fs::exists(folder_ / "index.json", ignored)) return;
  try {
    const Json json = read_json_file(folder_ / "index.json");
    if (json.at("version") != kIndexVersion) return;
    known_ = json.at("jobs").get<std::unordered_map<std::string, Known>>();
  } catch (const std::exception&) {
    // What is known stays; without that, results are read again.
  }
}

void JobStore::save() const {
  if (!changed_) return;
  try {
    write_json_file(folder_ / "index.json", {{"version", kIndexVersion}, {"jobs", known_}});
  } catch (const Error&) {
    // The next run looks again; the results themselves say when the folder cannot be written.
  }
}

// Of an undamaged file. Throws Error, NotRead where the file's state is the reason.
const JobStore::Known* JobStore::read(const JobFolder& folder, const fs::path& result) {
  const std::string name = folder.path.filename().string();
  const FileStamp written = file_stamp(result), job = file_stamp(folder.job());
  const auto found = known_.find(name);
  if (found != known_.end() && !written.text.empty() && found->second.job == job.text &&
      found->second.result == written.text) {
    return &found->second;
  }
  Known known{job.text, written.text, record::verify(result), 0, {}};
  const Job content = job_in(folder, result);
  require_device(result, known.sha256, content);
  known.generation = content.generation;
  for (const JobPoint& point : content.points) known.points.emplace_back(point.id, point.key);
  if (written.settled && job.settled) {
    changed_ = true;
  } else {
    known.result.clear();  // to be looked at again
  }
  return &(known_[name] = std::move(known));
}

Result JobStore::find(const JobFolder& folder) const {
  const auto found = known_.find(folder.path.filename().string());
  const std::string written = found == known_.end() ? "" : file_stamp(folder.result()).text;
  if (!written.empty() && found->second.result == written &&
      found->second.job == file_stamp(folder.job()).text) {
    return {Result::State::kDone};
  }
  return find_result(folder);
}

JobStore::Seen JobStore::look(const JobFolder& folder) {
  Seen seen;
  // Two questions to the file system and no more for each of ten thousand jobs that are done.
  const auto before = known_.find(folder.path.filename().string());
  if (before != known_.end() && !before->second.result.empty() &&
      file_stamp(folder.result()).text == before->second.result &&
      file_stamp(folder.job()).text == before->second.job) {
    seen.known = &before->second;
    seen.result = folder.result();
    return seen;
  }
  // A forced run that was killed leaves the old result.
  for (const fs::path& result : {folder.result(), folder.previous()}) {
    if (is_absent(result)) continue;
    const auto add = [&](record::Fault fault, Problem problem) {
      // Without a job.json a damaged file is not known to be ours.
      if (fault == record::Fault::kDamaged && is_absent(folder.job())) return;
      seen.bad.push_back({{folder, result, std::move(problem), keys_in(folder)}, fault});
    };
    try {
      seen.known = read(folder, result);
      seen.result = result;
      return seen;
    } catch (const record::NotRead& failure) {
      if (failure.fault() == record::Fault::kAbsent) continue;
      const bool damaged = failure.fault() == record::Fault::kDamaged;
      add(failure.fault(), damaged ? failure.problems().front() : kept_problem(failure));
    } catch (const Error& failure) {
      add(record::Fault::kUnreadable, kept_problem(failure));
    }
    // The old one is not the latest while a newer one cannot be read.
    if (!seen.bad.empty() && seen.bad.back().fault != record::Fault::kDamaged) return seen;
  }
  return seen;
}

DonePoints JobStore::find_done(const Jobs& jobs) {
  std::unordered_set<std::string_view> wanted;
  for (const Job& job : jobs) {
    for (const JobPoint& point : job.points) wanted.insert(point.key);
  }
  DonePoints done;
  std::set<std::string> present;
  for (const JobFolder& folder : folders_in(folder_ / "jobs")) {
    present.insert(folder.path.filename().string());
    const auto is_wanted = [&](const std::string& key) { return wanted.contains(key); };
    Seen seen = look(folder);
    for (Bad& bad : seen.bad) {
      const std::vector<std::string>& keys = bad.result.keys;
      const bool asked = keys.empty() || std::any_of(keys.begin(), keys.end(), is_wanted);
      if (asked) add_bad(done, std::move(bad.result), bad.fault);
    }
    if (!seen.known) continue;
    for (const auto& [id, key] : seen.known->points) {
      if (!is_wanted(key)) continue;
      DonePoint& point = done.by_key[key];
      if (!point.job.empty() && point.generation >= seen.known->generation) continue;
      point = {id, folder.path.filename().string(), seen.result, seen.known->sha256,
               seen.known->generation};
    }
  }
  for (const BadResult& kept : done.kept) {
    for (const std::string& key : kept.keys) {
      if (!done.by_key.contains(key)) done.kept_keys.insert(key);
    }
  }
  changed_ = std::erase_if(known_,
                           [&](const auto& entry) { return !present.contains(entry.first); }) > 0 ||
             changed_;
  return done;
}

std::optional<std::unordered_set<std::string>> JobStore::ids() const {
  std::unordered_set<std::string> ids;
  for (const JobFolder& folder : folders_in(folder_ / "jobs")) {
    const auto known = known_.find(folder.path.filename().string());
    if (known != known_.end()) {
      for (const auto& [id, key] : known->second.points) ids.insert(id);
      continue;
    }
    const std::optional<std::vector<JobPoint>> points = points_in(folder);
    if (!points) return std::nullopt;
    for (const JobPoint& point : *points) ids.insert(point.id);
  }
  return ids;
}

Problem set_damaged_aside(const BadResult& bad) {
  Problem problem = bad.problem;
  try {
    const fs::path aside = set_aside(bad.file);
    problem.repair = fmt::format("it is kept as {}; its points are computed again", aside.string());
    append_line(bad.folder.log(),
                fmt::format("{}; it is kept as {}", problem.what, aside.string()));
  } catch (const Error& failure) {
    problem.repair = failure.what();
  }
  return problem;
}

}  // namespace tarflow::job
