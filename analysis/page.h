// report.html: a report as one page that needs nothing beside it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/job_folders.h"
#include "analysis/points.h"
#include "analysis/table.h"

namespace tarflow::analysis {

// Pictures and plots of the page together, in bytes; what does not fit stays in the folder, and
// the page says so.
inline constexpr size_t kMostPictureBytes = 2'500'000;

// `folder` holds the report's pictures and plots; `jobs`: those of the sweeps' folders of jobs.
std::string render_page(const Report& report, const std::vector<Source>& sources,
                        const std::vector<Point>& points, const std::vector<JobFolderState>& jobs,
                        const std::filesystem::path& folder);

}  // namespace tarflow::analysis
