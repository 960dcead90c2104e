// Why jobs of a plan are to be run.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/job/attempts.h"
#include "framework/job/plan.h"

namespace tarflow::job {

// A reason, with how many points of a job have it.
struct Why {
  // "new": no earlier result is of a point like it
  // "setting": an earlier point, which the sweep no longer has, differs in these few settings
  // "content": the same point was planned with other contents of a file
  // "revision": the experiment's numbers have changed, so that results of before do not count
  // "device": the same point was planned for another model of device, and times count
  // "damaged": its result is to be set aside
  // "gone": it was done, and its result is not there any more
  // "failed", "interrupted": its last attempt was
  // "forced": it is done, and asked for again
  // "images": it is done, but for image files that it asks for
  // "file": others read a file that it makes, which is absent or changed
  std::string reason;
  std::string text;  // in words: "num_images was 256"
  size_t points = 0;
};

class WhyRun {
 public:
  // The plan and the schemas have to live as long. `forced`: see PlanOptions. Reads job.json of
  // folders that the plan does not use when it first needs them.
  WhyRun(const Plan& plan, const ExperimentSchemas& schemas, bool forced);
  ~WhyRun();

  // Of a pending job of the plan, the most frequent reason first.
  std::vector<Why> of(const Job& job);

 private:
  class Earlier;

  Why of_point(const Job& job, const JobPoint& point, const Attempts& attempts);
  const Earlier& earlier();

  const Plan& plan_;
  const ExperimentSchemas& schemas_;
  bool forced_;
  std::set<std::string> damaged_;  // keys
  std::unique_ptr<Earlier> earlier_;
};

// "new", "failed: it ended with exit code 3", "num_images was 256 (2 points), new (1 point)".
std::string why_text(const std::vector<Why>& whys);

}  // namespace tarflow::job
