#include "framework/job/result.h"

#include <fmt/format.h>

#include <set>

#include "framework/core/aside.h"
#include "framework/job/attempts.h"
#include "framework/job/claim.h"
#include "framework/record/job_file.h"
#include "framework/record/opened.h"

namespace tarflow::job {
namespace fs = std::filesystem;
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

std::string other_device(const record::FileHead& head, const fs::path& file, const Job& job) {
  if (job.device.empty()) return "";
  for (const record::Row& row : record::unpacked(head.rows)) {
    const auto cell = row.find("device");
    const auto* used = cell == row.end() ? nullptr : std::get_if<std::string>(&cell->second);
    if (!used || is_of_model(*used, job.device)) continue;
    return fmt::format(
        "{} was computed on {}, and its times are to be those of {}, the `device` of the cluster "
        "profile: state a `constraint` there that gives jobs this model, or correct `device`",
        file.string(), *used, job.device);
  }
  return "";
}

// Says so in the job's log; returns "<what is wrong>; it is kept as FILE".
std::string set_aside_and_say(const JobFolder& folder, const fs::path& file, const Problem& wrong) {
  const std::string text =
      fmt::format("{}; it is kept as {}", wrong.what, set_aside(file).string());
  append_line(folder.log(), text);
  return text;
}

Result unread(const Error& failure) {
  using State = Result::State;
  const auto* known = dynamic_cast<const record::NotRead*>(&failure);
  // Without a known fault it is undamaged, and yet HDF5 or this program cannot read it.
  switch (known ? known->fault() : record::Fault::kUnreadable) {
    case record::Fault::kAbsent:
      return {};
    case record::Fault::kDamaged:
      return {State::kDamaged, failure.problems().front()};
    case record::Fault::kNewer:
      return {State::kNewer, kept_problem(failure)};
    case record::Fault::kUnreadable:
      break;
  }
  return {State::kUnreadable, kept_problem(failure)};
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::rename(from, to, failed);
  if (failed) {
    throw Error(fmt::format("cannot rename {}: {}", from.string(), failed.message()),
                "see who may write there; finished jobs are kept");
  }
}

}  // namespace

bool names_points(const Job& job) {
  return !job.points.empty() &&
         std::none_of(job.points.begin(), job.points.end(),
                      [](const JobPoint& point) { return point.id.empty() || point.key.empty(); });
}

Job job_in(const JobFolder& folder, const fs::path& result) {
  try {
    Job job = read_job(folder.job());
    if (names_points(job)) return job;
  } catch (const Error&) {
    // The result has it as well.
  }
  const record::OpenedSweep opened = record::open_sweep(result);
  if (opened.sweep.jobs.size() == 1) {
    Job job = job_from_json(opened.sweep.jobs.begin()->second.job);
    if (names_points(job)) return job;
  }
  throw Error(fmt::format("neither {} nor {} tells which points it has", folder.job().string(),
                          result.string()));
}

Result find_result(const JobFolder& folder, const Job& job) {
  using State = Result::State;
  const fs::path file = folder.result();
  if (is_absent(file)) return {};
  try {
    record::KnownColumns known;
    const record::FileHead head = record::read_head(file, known);
    const std::string wrong = contradiction(head, file, job);
    if (!wrong.empty()) return {State::kDamaged, {{}, wrong, "", ""}};
    const std::string device = other_device(head, file, job);
    if (!device.empty()) return {State::kOtherDevice, {{}, device, "", ""}};
    return {head.generation >= job.generation ? State::kDone : State::kOutdated};
  } catch (const Error& failure) {
    return unread(failure);
  }
}

Result find_result(const JobFolder& folder) {
  if (is_absent(folder.result())) return {};
  try {
    return find_result(folder, job_in(folder, folder.result()));
  } catch (const Error& failure) {
    return unread(failure);
  }
}

void require_device(const fs::path& result, const std::string& sha256, const Job& job) {
  if (job.device.empty()) return;
  record::KnownColumns known;
  const std::string wrong = other_device(record::read_head(result, known, sha256), result, job);
  if (!wrong.empty()) throw record::NotRead(record::Fault::kDamaged, wrong);
}

Problem kept_problem(const Error& failure) {
  Problem problem = failure.problems().front();
  problem.repair =
      "the file is kept, and its points are not computed over it: make it readable (permissions, "
      "file system, a newer version of this program) and run the same command again, or move it "
      "away to compute them again";
  return problem;
}

std::string prepare_folder(const Job& job, const JobFolder& folder, const std::string& place) {
  std::error_code failed;
  fs::create_directories(folder.path, failed);
  if (failed) {
    throw Error(
        fmt::format("cannot make the folder {}: {}", folder.path.string(), failed.message()),
        "make room on the disk, or see who may write there; finished jobs are kept");
  }
  std::string claim = take_claim(folder.path, place);
  // The old result holds until there is a new one. What an attempt of another generation left to go
  // on from the worker knows and does not use.
  const Result found = find_result(folder, job);
  if (found.kept()) throw Error(found.problem);
  if (found.unusable()) {
    set_aside_and_say(folder, folder.result(), found.problem);
  }
  if (found.whole()) rename_or_throw(folder.result(), folder.previous());
  fs::remove(folder.progress(), failed);
  std::vector<fs::path> parts;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path, failed)) {
    if (entry.path().extension() == ".part") parts.push_back(entry.path());
  }
  for (const fs::path& part : parts) fs::remove(part, failed);
  write_json_file(folder.job(), to_json(job));
  return claim;
}

std::string clear_place(const JobFolder& folder, const Job& job) {
  require_claim(folder.path);
  const Result found = find_result(folder, job);
  if (found.kept()) throw Error(found.problem);
  if (!found.unusable()) return "";
  return fmt::format("{}; it is kept as {}", found.problem.what,
                     set_aside(folder.result()).string());
}

std::optional<std::string> settle_result(const JobFolder& folder, const Job& job,
                                         Result::State* state) {
  const Result found = find_result(folder, job);
  if (state) *state = found.state;
  std::error_code ignored;
  if (found.done()) {
    fs::remove(folder.previous(), ignored);
    return std::nullopt;
  }
  std::string wrong = found.problem.what;
  if (found.state == Result::State::kOutdated) {
    wrong = fmt::format("{} is of an earlier computation", folder.result().string());
  } else if (found.unusable()) {
    try {
      wrong = set_aside_and_say(folder, folder.result(), found.problem);
    } catch (const Error& failure) {
      wrong += "; " + failure.problems().front().what;
    }
  }
  if (is_absent(folder.result())) fs::rename(folder.previous(), folder.result(), ignored);
  return wrong;
}

}  // namespace tarflow::job
