// make_record_seeds FOLDER: a job's file and a sweep's, as small as they come.
#include <filesystem>

#include "framework/record/record.h"

int main(int, char** arguments) {
  using namespace tarflow::record;
  const std::filesystem::path folder = arguments[1];
  JobRecord job;
  job.hash = "1a";
  job.job = {{"hash", "1a"}, {"settings", {{"cfg", 1.5}}}};
  job.environment = {{"host", "a"}};
  job.columns = {{"cfg", tarflow::ColumnType::kFloat64, "", "guidance", false},
                 {"num_images", tarflow::ColumnType::kInt64, "images", "how many", false},
                 {"point", tarflow::ColumnType::kString, "", "id", false}};
  job.rows = {{{"point", std::string("p")}, {"cfg", 1.5}, {"num_images", int64_t{3}}},
              {{"point", std::string("q")}, {"cfg", 2.5}}};
  job.arrays = {make_array("crm/norm", {2, 2}, std::vector<double>{1, 2, 3, 4}, "", "a matrix"),
                make_array("seconds", {1}, std::vector<float>{1}, "s", "a time")};
  write_job(folder / "job.h5", job);
  return merge(folder / "sweep.h5", "seed", {folder / "job.h5"}).empty() ? 0 : 1;
}
