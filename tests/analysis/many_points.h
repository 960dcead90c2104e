// A merged sweep file of as many points as wanted, as a large grid leaves it: four self-denoising
// rates a job, each with its own jackknife, and images and iterations of the job.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "framework/record/job_file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis::testing {

inline constexpr size_t kRatesAJob = 4, kStrategies = 25, kSeeds = 2;

struct ManyPoints {
  int64_t images = 4, image_side = 32, features = 16;
};

// Job `number`: strategies fastest, then seeds, then cfg.
inline record::JobRecord many_points_job(size_t number, size_t rates, const ManyPoints& size) {
  const std::string hash = fmt::format("{:016x}", number * 0x9e3779b97f4a7c15);
  const size_t strategy = number % kStrategies, seed = number / kStrategies % kSeeds;
  const double cfg = 0.1 * static_cast<double>(number / (kStrategies * kSeeds));
  std::vector<std::string> ids;
  for (size_t i = 0; i < rates; ++i) ids.push_back(fmt::format("{}{:02}", hash, i));
  record::JobRecord job = make_job(hash, "evaluate", "large.pth", ids);
  const std::string name = strategy == 0 ? "For" : fmt::format("[1-8-{}-4]", strategy);
  const std::string blocks =
      strategy == 0
          ? "blocks 1-0: sequential"
          : fmt::format("block 1: gs 8 x {} guess z; block 0: jacobi 4 guess z", strategy);
  job.environment = {{"git_revision", "0123456789abcdef"}, {"cpu", "a CPU"}};
  job.job["settings"] = {{"cfg", cfg},
                         {"strategy", {{"name", name}}},
                         {"seed", seed},
                         {"num_images", 256},
                         {"extractor", "/somewhere/extractor.pt"}};
  for (size_t i = 0; i < rates; ++i) {
    record::Row row = evaluate_row(ids[i], hash, name, blocks, 1.0 + static_cast<double>(strategy));
    row["cfg"] = cfg;
    row["seed"] = static_cast<int64_t>(seed);
    row["self_denoising_lr"] = 0.5 * static_cast<double>(i);
    row["distance"] = 1.0 + 0.01 * static_cast<double>(strategy) + std::abs(cfg - 1);
    row["distance_error"] = 0.01;
    job.rows.push_back(std::move(row));
    job.job["points"][i]["settings"] = {{"self_denoising_lr", 0.5 * static_cast<double>(i)}};
    const std::string folder = "jackknife/" + ids[i] + "/";
    job.arrays.push_back(
        record::make_array(folder + "count", {10}, std::vector<int64_t>(10, 25), "", "images"));
    job.arrays.push_back(record::make_array(folder + "distance", {10}, std::vector<double>(10, 1.5),
                                            "", "distances"));
    const size_t squared = static_cast<size_t>(size.features * size.features);
    job.arrays.push_back(record::make_array("moments/" + ids[i] + "/outer",
                                            {1, size.features, size.features},
                                            std::vector<double>(squared, 1), "", "sums"));
  }
  const size_t values = static_cast<size_t>(size.images * 3 * size.image_side * size.image_side);
  job.arrays.push_back(
      images_array(size.images, size.image_side,
                   std::vector<float>(values, 1 + 0.01f * static_cast<float>(strategy))));
  job.arrays.push_back(record::make_array("sampling/iterations", {1, 2}, std::vector<int64_t>{4, 8},
                                          "", "iterations"));
  std::sort(job.arrays.begin(), job.arrays.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return job;
}

inline void write_many_points(const std::filesystem::path& file, size_t points,
                              const ManyPoints& size = {}) {
  std::map<std::string, record::JobRecord> jobs;
  std::map<std::string, record::Row> rows;
  for (size_t done = 0, number = 0; done < points; ++number) {
    record::JobRecord job = many_points_job(number, std::min(kRatesAJob, points - done), size);
    done += job.rows.size();
    for (const record::Row& row : job.rows) rows[std::get<std::string>(row.at("point"))] = row;
    jobs[job.hash] = std::move(job);
  }
  std::vector<record::Row> sorted;
  for (auto& [id, row] : rows) sorted.push_back(std::move(row));
  record::write_record(file, "sweep", file.stem().string(), "", [&](hid_t out, hid_t group) {
    record::write_table(out, columns_of({sorted.front()}), sorted);
    for (const auto& [hash, job] : jobs) record::write_job_group(group, job);
  });
}

}  // namespace tarflow::analysis::testing
