// From merged sweep files to a report: all tables, the sample grids, and what is missing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

struct ReportOptions {
  std::string norm;                 // of CRM and IGM: "2", "1", "fro", or "" as crm_tables says
  std::filesystem::path published;  // file of published figures
  bool page = false;                // draw plots and write report.html as well
};

// The folder a report on these files goes to: results/demo.h5 -> results/demo/report, of the first
// file.
std::filesystem::path default_report_folder(const std::filesystem::path& file);

// Writes the sample grids and report.md into `folder`. Nothing that goes wrong with one file, table
// or picture costs the others: it is named in Report::problems.
Report make_report(const std::vector<std::filesystem::path>& files,
                   const std::filesystem::path& folder, const ReportOptions& options);

}  // namespace tarflow::analysis
