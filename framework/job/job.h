// A job: the points that run at once in one worker process, and what it needs, as plain data in
// job.json.
#pragma once

#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/job/content.h"
#include "framework/job/device.h"
#include "framework/sweep/sweep.h"

namespace tarflow::job {

// A point of a job.
struct JobPoint {
  std::string id;
  // The id with the contents and the device's model; a point with a known key is done.
  std::string key;
  sweep::Settings settings;  // shared fields only
  SharedJson contents;       // as Job::contents, for shared fields that are paths; null: none
  bool selected = true;      // sweep::Point::selected; not in job.json
};

struct Job {
  // Of the keys of its points; so of experiment, revision, settings, file contents, and of the
  // device's model if timed. Not of paths or of the order of points.
  std::string hash;
  std::string experiment;
  sweep::Settings settings;  // what all points have in common
  std::vector<JobPoint> points;
  // Model the points name: {"name", "checkpoint": absolute path, "sha256", "shape"}, and
  // "weights" where the file holds several models; null without one.
  SharedJson model;
  SharedJson contents;  // field or "checkpoint" -> SHA-256 of the content; "weights" as in `model`
  // stamp_key() of an input -> its stamp when it was planned (content_stamp); of other jobs' inputs
  // as well. Never part of a hash.
  SharedJson stamps = {};
  // Model of the device that a cluster's jobs are said to get, of a timed job: a result of another
  // is refused. "": not checked.
  std::string device = {};
  std::string sweep;  // name of the sweep
  SharedJson smoke;   // null, or what was replaced for --smoke
  // Raised when points are computed again though they were done: the higher one holds.
  int64_t generation = 0;
  // Keys of the points that make files which it reads; not in job.json.
  std::vector<std::string> after = {};
  // How it is run; not in job.json.
  sweep::RunSettingsPtr run = sweep::default_run_settings();
};

// Jobs that lists share: ten thousands of them are planned, filtered and looked at.
class Jobs {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Job;
    using difference_type = std::ptrdiff_t;
    using pointer = const Job*;
    using reference = const Job&;

    explicit Iterator(const std::shared_ptr<const Job>* at = nullptr) : at_(at) {}
    const Job& operator*() const { return **at_; }
    const Job* operator->() const { return at_->get(); }
    Iterator& operator++() { return ++at_, *this; }
    Iterator operator++(int) { return Iterator(at_++); }
    bool operator==(const Iterator&) const = default;

   private:
    const std::shared_ptr<const Job>* at_;
  };
  using value_type = Job;
  using const_iterator = Iterator;

  Iterator begin() const { return Iterator(jobs_.data()); }
  Iterator end() const { return Iterator(jobs_.data() + jobs_.size()); }
  const Job& operator[](size_t index) const { return *jobs_[index]; }
  const Job& at(size_t index) const { return *jobs_.at(index); }
  size_t size() const { return jobs_.size(); }
  bool empty() const { return jobs_.empty(); }

  const std::shared_ptr<const Job>& shared(size_t index) const { return jobs_[index]; }
  void push_back(Job job) { jobs_.push_back(std::make_shared<const Job>(std::move(job))); }
  void share(const Jobs& others, size_t index) { jobs_.push_back(others.jobs_[index]); }

 private:
  std::vector<std::shared_ptr<const Job>> jobs_;
};

Json to_json(const Job& job);
// Keys that are absent (another version wrote it) are left empty, unknown ones are passed over.
// Throws Error that names the key of a value of the wrong type.
Job job_from_json(const Json& json);
// The same of a job.json, with the file named, to know what the job is.
Job read_job(const std::filesystem::path& file);
// The same to run it: what decides its numbers and whose they are must be there.
Job read_job_to_run(const std::filesystem::path& file);

// Groups points that differ only in shared fields, in the sweep's order. Of a file that a point of
// the sweep makes (Sweep::makers) the key of that point stands for the content, which therefore
// need not be there yet; Job::after has these keys. Contents are hashed with a
// cache by path and stamp in `cache_folder`, which keeps none when empty. The model of the
// device joins the hash of timed experiments. Throws Error when a file that a point needs is
// absent.
Jobs plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
               const DeviceModels& devices, const std::filesystem::path& cache_folder);
// `smoke` goes into every job.
Jobs plan_jobs(const sweep::Sweep& sweep, const ExperimentSchemas& schemas,
               const DeviceModels& devices, ContentHasher& hasher, const SharedJson& smoke = {});

// The jobs with the points for which `keep` holds alone, their hashes renewed; jobs left empty are
// dropped.
Jobs with_points(const Jobs& jobs, const std::function<bool(const JobPoint&)>& keep);
// The jobs for which `keep` holds.
Jobs filtered(const Jobs& jobs, const std::function<bool(const Job&)>& keep);

// The schema called `name`. Throws Error.
const ExperimentSchema& schema_of(const ExperimentSchemas& schemas, const std::string& name);

// "evaluate model=cifar10 strategy=[7-8-4-4] cfg=1": the experiment, and of `settings` the fields
// named.
std::string label(const std::string& experiment, const sweep::Settings& settings,
                  const std::vector<std::string>& fields);

// Names of the fields in which points of one experiment differ.
std::vector<std::string> varying_fields(const std::vector<sweep::Point>& points,
                                        const ExperimentSchema& schema);

}  // namespace tarflow::job
