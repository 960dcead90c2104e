#include "analysis/command.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/markdown.h"
#include "analysis/published.h"
#include "analysis/report.h"
#include "analysis/text.h"
#include "framework/core/error.h"
#include "framework/record/record.h"

namespace tarflow::analysis {
namespace {

struct Arguments {
  std::vector<std::filesystem::path> files;
  std::filesystem::path folder;
  std::filesystem::path digest_file;
  std::string format = "text";
  ReportOptions options;
};

int print_report(Arguments arguments, std::ostream& out, std::ostream& err, bool terminal) {
  if (arguments.files.empty()) throw Error("no file named", "name one: analyze results/demo.h5");
  if (arguments.options.published.empty()) arguments.options.published = installed_published_file();
  if (arguments.folder.empty()) arguments.folder = default_report_folder(arguments.files.front());
  Report report = make_report(arguments.files, arguments.folder, arguments.options);
  const std::vector<std::string> problems = std::exchange(report.problems, {});  // told on `err`
  if (arguments.format == "markdown") {
    out << render_markdown(report);
  } else {
    out << render_text(report, {.bold = terminal});
    if (!report.summary.empty()) out << "\nReport folder: " << arguments.folder.string() << "\n";
  }
  out.flush();
  for (const std::string& problem : problems) err << "analyze: " << problem << "\n";
  return problems.empty() ? 0 : 1;
}

}  // namespace

int analyze(int argc, const char* const* argv, std::ostream& out, std::ostream& err,
            bool terminal) {
  Arguments arguments;
  CLI::App app("Tables of a sweep's results: CRM, initial guesses, speed-up, sample grid.",
               "analyze");
  app.add_option("files", arguments.files, "merged sweep files: results/<sweep>.h5");
  app.add_option(
      "--out", arguments.folder,
      "folder for report.md and the sample grid [results/<sweep>/report beside the first file]");
  app.add_option("--format", arguments.format, "what is printed")
      ->check(CLI::IsMember({"text", "markdown"}))
      ->capture_default_str();
  app.add_option("--norm", arguments.options.norm, "norm of CRM and IGM")
      ->check(CLI::IsMember({"2", "1", "fro"}))
      ->capture_default_str();
  app.add_option("--published", arguments.options.published, "file of published figures");
  CLI::App* digest = app.add_subcommand(
      "digest", "print the hash of everything in a file but times, attempts and environment");
  digest->add_option("file", arguments.digest_file, "merged sweep file")->required();
  try {
    app.parse(argc, argv);
    if (!digest->parsed()) return print_report(std::move(arguments), out, err, terminal);
    out << record::digest(record::read_sweep(arguments.digest_file)) << "\n";
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : 1;  // --help is no failure
  } catch (const std::exception& error) {
    err << "analyze: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace tarflow::analysis
