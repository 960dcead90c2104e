#include "experiments/convergence_record.h"

#include <string>

#include "experiments/worker/nonfinite.h"

namespace tarflow::experiments {

std::vector<Column> convergence_columns() {
  return {{"slowest_block", ColumnType::kInt64, "",
           "block that takes most Jacobi iterations, as in the checkpoint"},
          {"iterations_to_percent", ColumnType::kInt64, "",
           "its Jacobi iterations until the relative distance stays below 1e-2; absent: never"},
          {"iterations_to_permille", ColumnType::kInt64, "", "the same below 1e-3"},
          {"last_distance", ColumnType::kFloat64, "",
           "relative distance after the last Jacobi iteration, the largest of all blocks"},
          {"error_ratio_median", ColumnType::kFloat64, "",
           "||X* - x^k|| / ||x^k - x^(k-1)||, over all blocks and Jacobi iterations with a "
           "relative "
           "distance of 1e-4 to 0.1"},
          {"error_ratio_max", ColumnType::kFloat64, "", "the largest of the same"},
          nonfinite_column(),
          {"overflowed_images", ColumnType::kInt64, "",
           "other images with an iterate that is not finite, whose distance is infinite"},
          {"smoke", ColumnType::kInt64, "",
           "1: a trial run with few images, perhaps with an untrained model"},
          {"compute", ColumnType::kString, "", "compute type the job ran in"}};
}

std::vector<ArrayInfo> convergence_arrays() {
  const std::string of = "convergence/<point>/";
  std::vector<ArrayInfo> infos = {
      {"convergence/segment_blocks",
       ElementType::kInt64,
       {"entry"},
       "",
       "blocks measured segment by segment, as in the checkpoint"},
      {of + "jacobi/error_ratio_median",
       ElementType::kFloat64,
       {"block in checkpoint order"},
       "",
       "||X* - x^k|| / ||x^k - x^(k-1)||, median over iterations with 1e-4 <= relative_distance <= "
       "0.1; NaN where there are none"},
      {of + "jacobi/error_ratio_max",
       ElementType::kFloat64,
       {"block in checkpoint order"},
       "",
       "the largest of the same"}};
  for (const bool segments : {false, true}) {
    std::vector<std::string> axes = {"block in checkpoint order"};
    if (segments) axes = {"entry of segment_blocks", "segment"};
    const std::string mode = of + (segments ? "segments/" : "jacobi/");
    const std::string compared =
        segments ? ", over the tokens the segment writes" : ", over all tokens";
    const auto add = [&](const char* name, ElementType type, const std::string& meaning) {
      infos.push_back({mode + name, type, axes, "", meaning});
    };
    add("guess_distance", ElementType::kFloat64,
        "||X* - x^0|| / (N tokens D) of the initial guess" + compared);
    add("iterations_to_percent", ElementType::kInt64,
        "iterations until relative_distance stays below 1e-2; -1: more than were measured");
    add("iterations_to_permille", ElementType::kInt64,
        "iterations until relative_distance stays below 1e-3; -1: more than were measured");
    axes.emplace_back("iteration, from 1");
    add("distance", ElementType::kFloat64,
        "||X* - x^k|| / (N tokens D) to the sequential solution X*" + compared);
    add("relative_distance", ElementType::kFloat64, "||X* - x^k|| / ||X*||" + compared);
    add("residual", ElementType::kFloat64,
        "||x^k - x^(k-1)|| / (N D), what the published stop looks at" + compared);
  }
  return infos;
}

}  // namespace tarflow::experiments
