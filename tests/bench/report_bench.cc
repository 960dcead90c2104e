// Seconds to read a merged sweep file of many points and to make its report:
//   bench_report FOLDER [POINTS]
// makes a file of POINTS (10000) in FOLDER, keeps one that is there already, and times the steps.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <sstream>

#include "analysis/data/sources.h"
#include "analysis/report.h"
#include "analysis/show/latex.h"
#include "analysis/show/markdown.h"
#include "analysis/show/text.h"
#include "analysis/tables/csv.h"
#include "analysis/tables/speedup.h"
#include "tests/analysis/many_points.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;

void timed(const std::string& what, const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  action();
  const double used = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("{:<28} {:8.2f} s, CPU {:8.2f} s\n", what, took.count(), used);
}

void run(const fs::path& folder, size_t count) {
  const fs::path file = folder / fmt::format("points_{}.h5", count);
  if (!fs::exists(file)) timed("write", [&] { testing::write_many_points(file, count); });
  fmt::print("{}: {} MiB\n", file.string(), fs::file_size(file) >> 20);
  std::vector<std::string> problems;
  std::vector<Source> sources;
  std::vector<Point> points;
  timed("read", [&] { sources = read_sources({file}, problems); });
  timed("points", [&] { points = points_of(sources); });
  timed("speed-up and distances", [&] { speedup_tables(points, nullptr); });
  std::ostringstream exported;
  timed("export", [&] { write_points_csv(sources, points, exported); });
  Report report;
  timed("the whole report", [&] {
    report = make_report({file}, folder / "report", {"2", testing::published_file()});
  });
  timed("as text", [&] { render_text(report, {}); });
  timed("as Markdown", [&] { render_markdown(report); });
  timed("as LaTeX", [&] { render_latex(report); });
  timed("as CSV", [&] { render_csv(report); });
}

}  // namespace
}  // namespace tarflow::analysis

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "bench_report FOLDER [POINTS]\n");
    return 2;
  }
  tarflow::analysis::run(argv[1], argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 10000);
  return 0;
}
