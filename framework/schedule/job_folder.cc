#include "framework/schedule/job_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "framework/record/job_file.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

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

// The wanted points in a folder that has a result, by key.
std::map<std::string, DonePoint> points_in(const JobFolder& folder,
                                           const std::set<std::string>& wanted) {
  std::map<std::string, DonePoint> points;
  for (const JobPoint& point : job_from_json(read_json_file(folder.job())).points) {
    if (wanted.contains(point.key)) points[point.key] = {point.id, folder.result()};
  }
  return points;
}

}  // namespace

DonePoints find_done(const fs::path& jobs_folder, const std::vector<Job>& jobs,
                     ContentHasher& hasher) {
  std::set<std::string> wanted;
  for (const Job& job : jobs) {
    for (const JobPoint& point : job.points) wanted.insert(point.key);
  }
  DonePoints done;
  std::error_code ignored;
  for (const JobFolder& folder : folders_in(jobs_folder)) {
    if (!fs::exists(folder.job(), ignored) || !fs::exists(folder.result(), ignored)) continue;
    try {
      const auto points = points_in(folder, wanted);
      if (points.empty()) continue;
      hasher.verify_record(folder.result());
      done.by_key.insert(points.begin(), points.end());
    } catch (const Error& failure) {
      Problem problem = failure.problems().front();
      problem.repair = "its points are computed again";
      done.problems.push_back(problem);
    }
  }
  return done;
}

void check_result(const JobFolder& folder, const Job& job) {
  const record::FileContent content = record::read_table(folder.result());
  std::set<std::string> points;
  for (const record::Row& row : content.rows) points.insert(std::get<std::string>(row.at("point")));
  for (const JobPoint& point : job.points) {
    if (!points.contains(point.id)) {
      throw Error(fmt::format("{} lacks the point {}", folder.result().string(), point.id));
    }
  }
  if (content.name != job.hash) {
    throw Error(fmt::format("{} is the result of job {}, not of {}", folder.result().string(),
                            content.name, job.hash));
  }
}

std::vector<record::JobFile> files_to_merge(const std::vector<DonePoint>& points) {
  std::map<fs::path, std::vector<std::string>> by_file;
  for (const DonePoint& point : points) by_file[point.result].push_back(point.id);
  std::vector<record::JobFile> files;
  for (auto& [file, ids] : by_file) files.push_back({file, std::move(ids)});
  return files;
}

}  // namespace tarflow::schedule
