#include "framework/schedule/job_folder.h"

#include <fmt/format.h>

#include <set>

#include "framework/core/error.h"
#include "framework/record/job_file.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;

WorkerProgress read_progress(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  try {
    return worker_progress_from_json(read_json_file(file));
  } catch (const Error&) {
    return {};  // half a line of progress is no reason to stop
  }
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

}  // namespace tarflow::schedule
