// report.html: a report as one page that needs nothing beside it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/data/job_folders.h"
#include "analysis/data/points.h"
#include "analysis/show/table.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

// What pictures and plots may take of the page, in bytes of text; a long report leaves them less,
// so that the page stays below kMostPageBytes. What does not fit stays in the folder, and the page
// says so. Where not even the tables fit with the settings of each point, these are left to
// `analyze export`.
inline constexpr size_t kMostPictureBytes = 3'000'000;
inline constexpr size_t kMostPageBytes = 4'900'000;

// `folder` holds the report's pictures and plots; `jobs`: those of the sweeps' folders of jobs.
std::string render_page(const Report& report, const std::vector<Source>& sources,
                        const std::vector<Point>& points,
                        const std::vector<MeasuredFamily>& families,
                        const std::vector<JobFolderState>& jobs,
                        const std::filesystem::path& folder, size_t most_bytes = kMostPageBytes);

}  // namespace tarflow::analysis
