#include "framework/job/job_folder.h"

#include <fmt/format.h>

#include <set>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/record/job_file.h"

namespace tarflow::job {
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

namespace {

// In what a readable result is not that of the job; "" when it is.
std::string contradiction(const record::FileHead& head, const fs::path& file, const Job& job) {
  if (head.name != job.hash) {
    return fmt::format("{} is the result of job {}, not of {}", file.string(), head.name, job.hash);
  }
  std::set<std::string> points;
  for (const record::Row& row : record::unpacked(head.rows)) {
    const auto point = row.find("point");
    if (point != row.end()) points.insert(std::get<std::string>(point->second));
  }
  for (const JobPoint& point : job.points) {
    if (!points.contains(point.id)) {
      return fmt::format("{} lacks the point {}", file.string(), point.id);
    }
  }
  return "";
}

}  // namespace

FoundResult find_result(const JobFolder& folder, const Job& job) {
  using State = FoundResult::State;
  const fs::path file = folder.result();
  if (is_absent(file)) return {};
  FoundResult found;
  try {
    record::KnownColumns known;
    const record::FileHead head = record::read_head(file, known);
    found.generation = head.generation;
    found.problem.what = contradiction(head, file, job);
    found.state = found.problem.what.empty() ? State::kWhole : State::kDamaged;
  } catch (const record::NotRead& failure) {
    if (failure.fault() == record::Fault::kAbsent) return {};
    const bool damaged = failure.fault() == record::Fault::kDamaged;
    found.state = damaged ? State::kDamaged : State::kKept;
    found.problem = damaged ? failure.problems().front() : kept_problem(failure);
  } catch (const Error& failure) {  // undamaged, and yet HDF5 or this program cannot read it
    found.state = State::kKept;
    found.problem = kept_problem(failure);
  }
  return found;
}

Problem kept_problem(const Error& failure) {
  Problem problem = failure.problems().front();
  problem.repair =
      "the file is kept, and its points are not computed over it: make it readable (permissions, "
      "file system, a newer version of this program) and run the same command again, or move it "
      "away to compute them again";
  return problem;
}

}  // namespace tarflow::job
