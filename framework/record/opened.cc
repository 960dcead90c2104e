#include "framework/record/opened.h"

#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/job_file.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRead = "read";

// job.json and environment.json are texts of the job and no arrays.
bool is_text(const std::string& path) { return path == kJobText || path == kEnvironmentText; }

}  // namespace

StoredJobs::StoredJobs(fs::path path, Handle file)
    : path_(std::move(path)),
      file_(std::move(file)),
      jobs_(open_group(file_, kJobsGroup)),
      linked_(path_, file_) {}

const Handle& StoredJobs::group_of(const std::string& job) {
  if (last_.first != job) last_ = {job, open_group(jobs_, job)};
  return last_.second;
}

const Array* StoredJobs::array(const std::string& job, const std::string& path) {
  if (is_text(path)) return nullptr;
  const std::pair key(job, path);
  if (const auto known = arrays_.find(key); known != arrays_.end()) return known->second.get();
  return about(path_, kRead, [&] {
    std::optional<Array> array = read_array(group_of(job), path, linked_.opener());
    std::unique_ptr<const Array> kept;
    if (array) kept = std::make_unique<const Array>(std::move(*array));
    return arrays_.emplace(key, std::move(kept)).first->second.get();
  });
}

std::vector<std::string> StoredJobs::array_paths(const std::string& job) {
  return about(path_, kRead, [&] {
    std::vector<std::string> paths = record::array_paths(group_of(job));
    std::erase_if(paths, is_text);
    return paths;
  });
}

Json StoredJobs::environment(const std::string& job) {
  return about(path_, kRead,
               [&] { return Json::parse(read_text(group_of(job), kEnvironmentText)); });
}

JobRecord StoredJobs::read(const std::string& job) {
  return about(path_, kRead, [&] { return read_job_group(jobs_, job, linked_.opener()); });
}

bool StoredJobs::is_lost(const std::string& job, const std::string& path) {
  if (linked_.empty() || !linked_.problem_of_job(job)) return false;
  return about(path_, kRead, [&] { return is_linked(group_of(job), path); });
}

OpenedSweep open_sweep(const fs::path& file) {
  return about(file, kRead, [&] {
    verify_envelope(file);
    Handle in = open_file(file);
    FileContent content = read_content(in);
    OpenedSweep opened{{content.name, std::move(content.columns), std::move(content.rows), {}}, {}};
    const Handle jobs = open_group(in, kJobsGroup);
    for (const std::string& hash : member_names(jobs)) {
      JobRecord& job = opened.sweep.jobs[hash];
      job.hash = hash;
      job.job = Json::parse(read_text(open_group(jobs, hash), kJobText));
    }
    opened.stored = std::make_shared<StoredJobs>(file, std::move(in));
    return opened;
  });
}

}  // namespace tarflow::record
