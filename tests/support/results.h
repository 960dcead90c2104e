// Results as workers leave them.
#pragma once

#include "framework/job/store.h"
#include "framework/record/record.h"

namespace tarflow {

inline void write_result(const job::JobFolder& folder, const job::Job& job,
                         const std::string& device = "NVIDIA H200") {
  std::filesystem::create_directories(folder.path);
  write_json_file(folder.job(), to_json(job));
  record::JobRecord record;
  record.hash = job.hash;
  record.job = to_json(job);
  record.columns = {{"device", ColumnType::kString, "", ""},
                    {"point", ColumnType::kString, "", ""},
                    {"result", ColumnType::kFloat64, "", ""}};
  for (const job::JobPoint& point : job.points) {
    record.rows.push_back({{"device", device}, {"point", point.id}, {"result", 1.0}});
  }
  record::write_job(folder.result(), record);
}

}  // namespace tarflow
