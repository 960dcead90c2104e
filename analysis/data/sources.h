// Reading merged sweep files for tables: all of a file or, with the reason, nothing of it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/data/points.h"

namespace tarflow::analysis {

// Reads what can be read. Files that cannot (absent, empty, damaged, of a newer version or another
// program, without points, or half merged: rows without their job), and why, are added to
// `problems`; nothing of them is shown. So are links to files of jobs that cannot be read: all else
// of such a file is shown. A file named twice is read once.
std::vector<Source> read_sources(const std::vector<std::filesystem::path>& files,
                                 std::vector<std::string>& problems);

// Jobs without results, one line each: those of the sweep's folder of jobs (results/demo/jobs
// beside results/demo.h5) that are not in the file, and points of merged jobs that have no row.
// Points that have left the sweep since are not told; see sweep_note.h.
std::vector<std::string> points_without_results(const Source& source);

// "not in demo.h5: 3 finished jobs of other settings ..., in results/demo/jobs": they are no fault.
// "" without such jobs.
std::string results_of_other_settings(const Source& source);

// The points of each file in the order of its sweep file; behind them those that it does not tell.
std::vector<Point> in_sweep_order(std::vector<Point> points);

// The ids of a job's points, as far as job.json tells.
std::vector<std::string> point_ids(const Json& job);

// "evaluate of cifar10_demo, [7-8-4-4]": what a job does, as far as job.json tells.
std::string what_it_does(const Json& job);

}  // namespace tarflow::analysis
