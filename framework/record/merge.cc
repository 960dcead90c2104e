#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "framework/core/aside.h"
#include "framework/core/hash.h"
#include "framework/core/stamp.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/merge_source.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

// What is in a sweep's file beside the jobs.
constexpr const char* kTables[] = {"columns", "points", "order", "sources"};
constexpr int kAttempts = 3;  // when job files are replaced while they are merged

// A job's file that is another one than when its rows were read.
struct Replaced {
  fs::path file;
};

// Of content and points wanted of each job's file, in no order. Job hashes are part of the content.
class Fingerprint {
 public:
  Fingerprint(const std::string& sweep_name, const MergeOptions& options) {
    Json head{{"merge", kRecordVersion}, {"name", sweep_name}};
    if (!options.order.empty()) head["order"] = options.order;
    if (options.limit != kMergeLimit) head["limit"] = options.limit;
    head_ = head.dump();
  }

  void add(const std::string& sha256, const std::vector<std::string>& wanted) {
    lines_.insert(Json{sha256, wanted}.dump());
  }
  std::string hex() const {
    Sha256 hash;
    hash.update(head_);
    for (const std::string& line : lines_) hash.update("\n" + line);
    return hash.hex();
  }

 private:
  std::string head_;
  std::set<std::string> lines_;
};

// Of a file that would be written over: only a damaged one may be.
[[noreturn]] void keep(const NotRead& failure) {
  const Problem& problem = failure.problems().front();
  throw NotRead(failure.fault(), problem.what,
                "it is kept and nothing was merged into it; the jobs' own results are complete. "
                "Make it readable, or move it away and run the same command again");
}

// What `file` was merged from; "" when it is absent, damaged, of version 1 or no record.
std::string merged_from(const fs::path& file) {
  try {
    return read_envelope(file).merged;
  } catch (const NotRead& failure) {
    if (failure.fault() != Fault::kAbsent && failure.fault() != Fault::kDamaged) keep(failure);
    return "";
  }
}

// Of the content of a file that is there and undamaged; "" of another.
std::string sha256_if_whole(const fs::path& file) {
  try {
    return verify_envelope(file).sha256;
  } catch (const NotRead& failure) {
    if (failure.fault() != Fault::kAbsent && failure.fault() != Fault::kDamaged) keep(failure);
    return "";
  }
}

// Files that cannot be read count for nothing, here as in a merge.
std::string fingerprint_of(const std::string& sweep_name, const MergeOptions& options,
                           const std::vector<JobFile>& job_files, std::vector<Problem>& problems) {
  Fingerprint fingerprint(sweep_name, options);
  for (const JobFile& job : job_files) {
    try {
      fingerprint.add(sha256_of(job), sorted_ids(job.points));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  return fingerprint.hex();
}

std::string fingerprint_of(const std::string& sweep_name, const MergeOptions& options,
                           const std::vector<Source>& sources) {
  Fingerprint fingerprint(sweep_name, options);
  for (const Source& source : sources) fingerprint.add(source.sha256, source.wanted);
  return fingerprint.hex();
}

// The job's file, open, as it was when its rows were read.
Handle open_source(const Source& source) {
  try {
    const bool same = !source.stamp.empty() && file_stamp(source.file).text == source.stamp &&
                      content_sha256(source.file) == source.sha256;
    if (!same && verify(source.file) != source.sha256) throw Replaced{source.file};
    return open_file(source.file);
  } catch (const Error&) {
    throw Replaced{source.file};
  }
}

bool is_text(const std::string& path) { return path == kJobText || path == kEnvironmentText; }

// Determines the sizes of a job's arrays.
void measure(Source& source) {
  if (!source.sizes.empty()) return;
  const Handle file = open_source(source);
  const Handle jobs = open_group(file, kJobsGroup);
  for (const auto& [path, bytes] : array_bytes(open_group(jobs, source.job)))
    if (!is_text(path) && bytes > 0) source.sizes[size_class(bytes)] += bytes;
}

// The size above which arrays become links: small arrays are copied first, and all of one size
// class or none. Nothing: all are copied.
std::optional<uint64_t> linked_over(std::vector<Source>& sources, uint64_t limit) {
  uint64_t files = 0;  // which take more than the arrays in them
  for (const Source& source : sources) files += source.bytes;
  if (files <= limit) return std::nullopt;
  ArraySizes sizes;
  for (Source& source : sources) {
    measure(source);
    for (const auto& [size_class, bytes] : source.sizes) sizes[size_class] += bytes;
  }
  uint64_t copied = 0, largest = 0;
  for (const auto& [size_class, bytes] : sizes) {
    copied += bytes;
    if (copied > limit) return largest;
    largest = largest_of_class(size_class);
  }
  return std::nullopt;
}

bool has_links(const Source& source, const std::optional<uint64_t>& over) {
  return over && !source.sizes.empty() && largest_of_class(source.sizes.rbegin()->first) > *over;
}

// The job's file as links name it: by its place from the sweep's file on, so that both can be
// moved together.
std::string link_file(const fs::path& record, const fs::path& job_file) {
  const fs::path from = fs::absolute(record).lexically_normal().parent_path();
  return fs::absolute(job_file).lexically_normal().lexically_relative(from).string();
}

// Whether the links of a whole record lead to these files, and to the content that each had. The
// fingerprint does not tell: it stays the same when files are renamed.
bool links_lead_to(const std::vector<JobFile>& job_files, const fs::path& record) {
  try {
    return about(record, "read", [&] {
      const std::optional<Origins> origins = read_origins(open_file(record), /*linked_only=*/true);
      if (!origins) return true;
      std::map<std::string, std::string> sha256;  // by the name that links use
      for (const JobFile& job : job_files) {
        try {
          sha256[link_file(record, job.file)] = sha256_of(job);
        } catch (const Error&) {  // no link can lead to it
        }
      }
      return std::all_of(origins->jobs.begin(), origins->jobs.end(), [&](const Origin& origin) {
        const auto found = sha256.find(origin.file);
        return origin.file.empty() || (found != sha256.end() && found->second == origin.sha256);
      });
    });
  } catch (const Error&) {
    return false;
  }
}

// The job's group as it is, byte for byte; without the arrays of points that are not taken, and
// with links in the place of large ones.
void copy_job(hid_t jobs, const Source& source, const fs::path& record,
              const std::optional<uint64_t>& over) {
  const Handle file = open_source(source), from = open_group(file, kJobsGroup);
  const std::string& hash = source.job;
  if (source.takes_all() && !has_links(source, over)) {
    check(H5Ocopy(from, hash.c_str(), jobs, hash.c_str(), H5P_DEFAULT, H5P_DEFAULT),
          fmt::format("cannot copy the job {} of {}", hash, source.file.string()));
    return;
  }
  std::set<std::string> taken;
  for (const size_t i : source.taken) taken.insert(source.points[i]);
  const std::string linked = link_file(record, source.file);
  copy_arrays(
      open_group(from, hash), create_group(jobs, hash),
      [&](const std::string& point) { return taken.contains(point); }, over,
      [&](const std::string& path) {
        return Link{linked, fmt::format("/{}/{}/{}", kJobsGroup, hash, path)};
      },
      is_text);
}

Origins origins_of(const std::vector<Source>& sources, const fs::path& record,
                   const std::optional<uint64_t>& over) {
  Origins origins;
  origins.linked_over = over;
  std::map<std::string, size_t> known;  // lists by their content
  std::map<ColumnList, size_t> numbers;
  for (const Source& source : sources) {
    const auto [number, fresh] = numbers.try_emplace(source.columns, origins.columns.size());
    if (fresh) {
      number->second =
          known.try_emplace(columns_text(*source.columns), origins.columns.size()).first->second;
      if (number->second == origins.columns.size()) origins.columns.push_back(source.columns);
    }
    origins.jobs.push_back({source.job, source.sha256, source.bytes, source.generation,
                            number->second, source.takes_all(),
                            has_links(source, over) ? link_file(record, source.file) : "",
                            over ? source.sizes : ArraySizes()});
  }
  return origins;
}

// What is written into `file`.
struct Merge {
  fs::path file;
  std::string name, fingerprint;
  const MergeOptions& options;
  std::vector<Source> sources;
  std::optional<uint64_t> over;  // linked_over()
};

void write_tables(hid_t out, const Merge& merge) {
  write_merged_table(out, merge.sources);
  write_order(out, merge.options.order, merge.sources);
  write_origins(out, origins_of(merge.sources, merge.file, merge.over));
}

void write_anew(const Merge& merge) {
  write_record(merge.file, "sweep", merge.name, merge.fingerprint, [&](hid_t out, hid_t jobs) {
    write_tables(out, merge);
    for (const Source& source : merge.sources) copy_job(jobs, source, merge.file, merge.over);
  });
}

// Whether the sweep's file holds the job as it is to be.
bool is_kept(const Source& source, const Merge& merge) {
  if (!source.before || !source.takes_all()) return false;
  const std::string linked =
      has_links(source, merge.over) ? link_file(merge.file, source.file) : "";
  return source.before->file == linked;
}

constexpr uint64_t kShare = 4;  // one part in so many may change, or be unused, in place

// Whether to change a copy of the last file instead of writing all of it again.
bool changes_in_place(const Merge& merge, const LastMerge& last) {
  const size_t kept = static_cast<size_t>(
      std::count_if(merge.sources.begin(), merge.sources.end(),
                    [&](const Source& source) { return is_kept(source, merge); }));
  const size_t jobs = std::max(merge.sources.size(), last.origins.jobs.size());
  std::error_code failed;
  const uintmax_t bytes = fs::file_size(merge.file, failed);
  return !failed && last.name == merge.name && last.origins.linked_over == merge.over &&
         kShare * (jobs - kept) <= jobs && kShare * last.origins.unused <= bytes;
}

void change_in_place(const Merge& merge, const LastMerge& last) {
  std::set<std::string> kept;
  for (const Source& source : merge.sources)
    if (is_kept(source, merge)) kept.insert(source.job);
  change_record(merge.file, last.sha256, merge.fingerprint, [&](hid_t out, hid_t jobs) {
    for (const char* table : kTables) remove_member(out, table);
    std::set<std::string> there;
    for (const std::string& job : member_names(jobs)) {
      if (kept.contains(job)) {
        there.insert(job);
      } else {
        remove_member(jobs, job);
      }
    }
    for (const Source& source : merge.sources)
      if (!there.contains(source.job)) copy_job(jobs, source, merge.file, merge.over);
    write_tables(out, merge);
    // What was freed and not used again is lost when the file is closed.
    const hssize_t freed = std::max<hssize_t>(H5Fget_freespace(out), 0);
    note_unused(out, last.origins.unused + static_cast<uint64_t>(freed));
  });
}

// Whether the last file was changed. What fails may lie in that file, which can be another one by
// now: the caller then writes all again from the jobs' files alone.
bool changed_in_place(const Merge& merge, const LastMerge& last) {
  if (!changes_in_place(merge, last)) return false;
  try {
    change_in_place(merge, last);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// What jobs' files that did not change can be taken from, so that they are not read. Nothing where
// there are few jobs, and where the last file tells of itself in a way that is not understood.
std::unique_ptr<const LastMerge> last_merge(const fs::path& file, const std::string& sha256,
                                            const std::vector<JobFile>& job_files,
                                            const MergeOptions& options) {
  if (job_files.size() < options.in_place_from) return nullptr;
  try {
    return about(file, "read", [&] { return read_last_merge(file, sha256); });
  } catch (const Error&) {
    return nullptr;
  }
}

// One attempt; throws Replaced. Whether it wrote.
bool merge_once(const fs::path& file, const std::string& name,
                const std::vector<JobFile>& job_files, const MergeOptions& options,
                const std::string& before, const LastMerge* last, Merged& result) {
  result.problems.clear();
  Merge merge{file, name, "", options, read_sources(job_files, last, result.problems), {}};
  merge.fingerprint = fingerprint_of(name, options, merge.sources);
  // A file that was found damaged only now may have been left out last time as well.
  if (merge.fingerprint == before) return false;
  choose_rows(merge.sources);
  merge.over = linked_over(merge.sources, options.limit);
  if (!last) {
    write_anew(merge);
  } else if (!changed_in_place(merge, *last)) {
    return merge_once(file, name, job_files, options, before, nullptr, result);
  }
  return true;
}

}  // namespace

Merged merge(const fs::path& file, const std::string& sweep_name,
             const std::vector<JobFile>& job_files, const MergeOptions& options) {
  std::vector<Problem> unreadable;
  std::string before = merged_from(file);
  const bool same =
      !before.empty() && fingerprint_of(sweep_name, options, job_files, unreadable) == before;
  const std::string sha256 = sha256_if_whole(file);
  const bool sound = !sha256.empty(), leads = sound && links_lead_to(job_files, file);
  if (same && leads) return {std::move(unreadable), false};
  Merged result;
  if (!leads) before.clear();
  if (!sound && !is_absent(file)) result.aside = set_aside(file);
  for (int attempt = 1;; ++attempt) {
    const std::unique_ptr<const LastMerge> last =
        sound && attempt == 1 ? last_merge(file, sha256, job_files, options) : nullptr;
    try {
      result.wrote = merge_once(file, sweep_name, job_files, options, before, last.get(), result);
      return result;
    } catch (const Replaced& replaced) {
      if (attempt < kAttempts) continue;
      throw Error(
          fmt::format("cannot merge {}: it is written while it is read", replaced.file.string()),
          "wait until the run that writes it has ended");
    }
  }
}

Merged merge(const fs::path& file, const std::string& sweep_name,
             const std::vector<fs::path>& job_files) {
  std::vector<JobFile> files;
  for (const fs::path& path : job_files) files.push_back({path, {}});
  return merge(file, sweep_name, files);
}

SweepRecord read_sweep(const fs::path& file) {
  auto [content, jobs] = read_whole(file);
  SweepRecord sweep{content.name, std::move(content.columns), std::move(content.rows), {}};
  for (JobRecord& job : jobs) {
    const std::string hash = job.hash;
    sweep.jobs[hash] = std::move(job);
  }
  return sweep;
}

}  // namespace tarflow::record
