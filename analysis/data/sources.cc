#include "analysis/data/sources.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "analysis/data/sweep_note.h"
#include "analysis/show/format.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kNamedPoints = 12;  // points of one job that are named one by one
constexpr const char* kMergeAgain =
    "remove the file and run the sweep again: computed results are kept and merged again";

std::string named(const std::vector<std::string>& ids) {
  if (ids.empty()) return "no points";
  const size_t shown = std::min(ids.size(), kNamedPoints);
  std::string text =
      fmt::format("{} {}", ids.size() == 1 ? "point" : "points",
                  fmt::join(ids.begin(), ids.begin() + static_cast<long>(shown), ", "));
  if (shown < ids.size()) text += fmt::format(" and {} more", ids.size() - shown);
  return text;
}

// Gives a job's result, whose rows need not name the job, the form of a sweep's. Throws Error when
// rows are missing or belong to nothing: the file was put together by something that did not end,
// and its tables would lack rows without a word.
void require_whole(Source& source) {
  record::SweepRecord& sweep = source.sweep;
  const std::string file = source.file.string();
  if (sweep.rows.empty()) throw Error("the file holds no points", "run the sweep first", {file});
  std::set<std::string> seen;
  std::vector<std::string> homeless, twice;
  for (record::Row& row : sweep.rows) {
    if (sweep.jobs.size() == 1) row.try_emplace("job", sweep.jobs.begin()->first);
    const Point point{&row};
    if (point.id().empty()) throw Error("half merged: a row has no `point`", kMergeAgain, {file});
    if (!sweep.jobs.contains(point.text("job"))) homeless.push_back(point.id());
    if (!seen.insert(point.id()).second) twice.push_back(point.id());
  }
  if (!homeless.empty()) {
    throw Error(fmt::format("half merged: the file lacks the jobs of {}", named(homeless)),
                kMergeAgain, {file});
  }
  if (!twice.empty()) {
    throw Error(fmt::format("half merged: more than one row of {}", named(twice)), kMergeAgain,
                {file});
  }
}

// Arrays of a large record are in the files of its jobs: what is shown without those that are lost.
void say_broken_links(const Source& source, std::vector<std::string>& problems) {
  const std::vector<Problem> broken = source.stored->broken_links();
  if (broken.empty()) return;
  Problem problem = broken.front();
  if (broken.size() > 1) problem.what += fmt::format(", and so in {} more", broken.size() - 1);
  problem.what += "; tables and pictures that need these arrays lack them";
  problems.push_back(problem.str());
}

// By hash: the sweep's jobs that are not in its file. A file that was copied alone has no folder of
// jobs beside it.
std::map<std::string, std::filesystem::path> unmerged_folders(const Source& source) {
  const auto folder = std::filesystem::path(source.file).replace_extension() / "jobs";
  std::error_code ignored;
  std::map<std::string, std::filesystem::path> unmerged;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string hash = entry.path().filename().string();
    if (!source.sweep.jobs.contains(hash) && std::filesystem::exists(entry.path() / "job.json")) {
      unmerged[hash] = entry.path();
    }
  }
  return unmerged;
}

// Whether the file is a whole result, as far as can be told without reading all of it.
bool is_sound(const std::filesystem::path& result) {
  try {
    record::content_sha256(result);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<std::string> point_ids(const Json& job) {
  std::vector<std::string> ids;
  if (!job.is_object() || !job.contains("points")) return ids;
  for (const Json& point : job["points"]) {
    if (point.is_object() && point.contains("id") && point["id"].is_string())
      ids.push_back(point["id"]);
  }
  return ids;
}

std::string what_it_does(const Json& job) {
  const auto text = [&](const char* pointer) {
    const Json::json_pointer where(pointer);
    return job.contains(where) && job[where].is_string() ? job[where].get<std::string>() : "";
  };
  std::string result = text("/experiment");
  if (const std::string model = text("/model/name"); !model.empty()) result += " of " + model;
  if (const std::string name = text("/settings/strategy/name"); !name.empty())
    result += ", " + name;
  return result;
}

std::vector<Source> read_sources(const std::vector<std::filesystem::path>& files,
                                 std::vector<std::string>& problems) {
  std::vector<Source> sources;
  std::set<std::filesystem::path> named;
  for (const auto& file : files) {
    std::error_code ignored;
    const auto place = std::filesystem::canonical(file, ignored);
    if (!ignored && !named.insert(place).second) continue;  // the same file named twice
    try {
      record::OpenedSweep opened = record::open_sweep(file);
      Source source{file, std::move(opened.sweep), std::move(opened.stored)};
      require_whole(source);
      say_broken_links(source, problems);
      sources.push_back(std::move(source));
    } catch (const std::exception& error) {
      problems.push_back(error.what());
    }
  }
  return sources;
}

std::vector<std::string> points_without_results(const Source& source) {
  const std::string name = source.file.filename().string();
  const SweepNote note = sweep_note(source);
  std::vector<std::string> lines;
  std::set<std::string> with_row;
  for (const record::Row& row : source.sweep.rows) with_row.insert(Point{&row}.id());
  const auto drop_those_with_row = [&](std::vector<std::string>& ids) {
    std::erase_if(ids, [&](const std::string& id) { return with_row.contains(id); });
  };
  for (const auto& [hash, job] : source.sweep.jobs) {
    std::vector<std::string> missing = point_ids(job.job);
    drop_those_with_row(missing);
    note.drop_left(missing);
    if (missing.empty()) continue;
    lines.push_back(fmt::format("not in {}: {} of job {} ({})", name, named(missing), hash,
                                what_it_does(job.job)));
  }
  for (const auto& [hash, path] : unmerged_folders(source)) {
    try {
      const Json job = read_json_file(path / "job.json");
      const bool done = std::filesystem::exists(path / "result.h5");
      if (done && is_sound(path / "result.h5")) continue;  // of other settings
      std::vector<std::string> missing = point_ids(job);
      const bool any = !missing.empty();
      note.drop_left(missing);
      if (!done) drop_those_with_row(missing);  // a job that is divided otherwise has them
      if (any && missing.empty()) continue;
      lines.push_back(fmt::format(
          "not in {}: {} of job {} ({}); {} in {}", name, named(missing), hash, what_it_does(job),
          done ? "damaged; its result.h5 is" : "without a result; see log.txt", path.string()));
    } catch (const Error& error) {
      lines.push_back(fmt::format("not in {}: job {}: {}", name, hash, error.what()));
    }
  }
  return lines;
}

std::string results_of_other_settings(const Source& source) {
  size_t count = 0;
  const auto folder = std::filesystem::path(source.file).replace_extension() / "jobs";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const bool merged = source.sweep.jobs.contains(entry.path().filename().string());
    count += !merged && is_sound(entry.path() / "result.h5");
  }
  if (count == 0) return "";
  return fmt::format(
      "not in {}: {} of other settings (of --set, or of the sweep file before it "
      "changed), in {}",
      source.file.filename().string(), plural(count, "finished job"), folder.string());
}

std::vector<Point> in_sweep_order(std::vector<Point> points) {
  using Places = std::map<std::string, size_t>;
  std::map<const Source*, std::pair<size_t, Places>> places;
  for (const Point& point : points) {
    const auto [entry, fresh] = places.try_emplace(point.source, places.size(), Places{});
    if (!fresh || !point.source || !point.source->stored) continue;
    const record::QuietHdf5 quiet;  // older records have no order
    const std::optional<record::Array> order = point.source->stored->order();
    if (!order) continue;
    for (const std::string& id : order->strings)
      entry->second.second.try_emplace(id, entry->second.second.size());
  }
  const auto key = [&](const Point& point) {
    const auto& [file, ids] = places.at(point.source);
    const auto id = ids.find(point.id());
    return std::pair(file, id == ids.end() ? ids.size() : id->second);
  };
  std::stable_sort(points.begin(), points.end(),
                   [&](const Point& a, const Point& b) { return key(a) < key(b); });
  return points;
}

}  // namespace tarflow::analysis
