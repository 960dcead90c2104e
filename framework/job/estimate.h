// What a job will take: time on the device and space on the disk, from what earlier ones took.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/core/shape.h"
#include "framework/job/job.h"
#include "framework/job/job_folder.h"

namespace tarflow::job {

// What a finished job took; a line of costs.jsonl in the results' cache.
struct Cost {
  std::string device, experiment, model, settings;  // model: SHA-256 of its checkpoint
  double images = 0;
  double flops = 0;    // at most, as estimated
  double working = 0;  // seconds that grow with the images
  double startup = 0;  // seconds that do not: starting, loading the model, warming up, writing
  double bytes = 0;    // of its result
  double devices = 1;  // it ran on at once
};

struct Estimate {
  std::optional<double> seconds;  // on the wall
  std::optional<double> bytes;
  double devices = 1;  // that are taken meanwhile
  std::string source;  // what the seconds were taken from
  bool bound = false;  // the seconds are those of the arithmetic alone
};

class Estimator {
 public:
  // `device` is the model of the device that jobs would run on. Lines that are damaged are passed
  // over.
  Estimator(const ExperimentSchemas& schemas, std::string device,
            const std::filesystem::path& cache_folder);

  // The device's rate for matrix products in FLOP/s, for when no earlier job tells anything.
  void set_device_rate(double flops) { device_rate_ = flops; }
  bool knows_device() const;  // some earlier job ran on it

  Estimate estimate(const Job& job);
  // What so much arithmetic takes besides the images of a job, as far as the device is known.
  std::optional<double> seconds_of(double flops) const;
  // Floating point operations of a job at most: iterations may stop earlier. 0 when unknown.
  double flops(const Job& job);

  // Remembers what a job took, of that `startup` before and after its images. A cache that cannot
  // be written costs the estimate and nothing else.
  void learn(const Job& job, double seconds, double startup, double bytes);
  // The same of a job whose attempt took so long, by what lies in its folder; nothing of one whose
  // result is gone, of a trial run, or of a job that was only ended by this attempt.
  void learn_result(const Job& job, double seconds, const JobFolder& folder);

 private:
  struct Sum {
    double jobs = 0, images = 0, flops = 0, bytes = 0, startup = 0;
    double working = 0;  // times devices

    double startup_of_one() const { return startup / jobs; }
  };

  Cost cost_of(const Job& job);
  void add(const Cost& cost);
  std::string settings_text(const Job& job);
  const ModelShape& shape_of(const Job& job);
  double trained_images(const Job& job);
  double passes(const sweep::Settings& settings, const ModelShape& shape);

  const ExperimentSchemas& schemas_;
  std::string device_;
  std::filesystem::path file_;
  // Sums over earlier jobs with the same settings, of the same model and experiment, of the device.
  std::unordered_map<std::string, Sum> alike_, of_model_;
  Sum of_device_;
  double device_rate_ = 0;
  // By settings that are kept alive, since the address of one that is gone may be another's.
  std::unordered_map<sweep::SettingPtr, double> passes_;  // FLOPs an image by strategy, unguided
  std::unordered_map<sweep::SettingPtr, std::string> texts_;
  std::unordered_map<std::string, ModelShape> shapes_;    // by checkpoint and weights
  std::unordered_map<std::string, double> image_counts_;  // by folder
};

// What `worker --measure-rate` says of the device, remembered in the results' cache for each model
// of device; 0 when it cannot tell. Takes seconds the first time. `here`: the device is of this
// machine. The rate of another one is never measured, since this machine's would be taken for it.
double measured_rate(const std::filesystem::path& worker, const std::string& device, bool here,
                     const std::filesystem::path& cache_folder);

// "0.034 device hours (2:02)", "55,600 device hours (2,320 days)": so much time of one device.
std::string device_hours_text(double seconds);

// " about 2:02, 3.2 MB (earlier jobs ...)": what is known; "" for nothing.
std::string estimate_text(const Estimate& estimate);

// "3.2 MB".
std::string bytes_text(double bytes);

}  // namespace tarflow::job
