#include "analysis/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "analysis/answer.h"
#include "analysis/best.h"
#include "analysis/compare.h"
#include "analysis/condense.h"
#include "analysis/data/published.h"
#include "analysis/data/sources.h"
#include "analysis/images_command.h"
#include "analysis/regenerate.h"
#include "analysis/report.h"
#include "analysis/show/format.h"
#include "analysis/show/latex.h"
#include "analysis/show/markdown.h"
#include "analysis/show/text.h"
#include "analysis/tables/csv.h"
#include "framework/core/arguments.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/version.h"
#include "framework/record/record.h"

namespace tarflow::analysis {
namespace {

constexpr int kUnreadable = 2;  // of compare, whose 1 says that files differ

struct Arguments {
  std::vector<std::filesystem::path> files;
  std::filesystem::path folder;
  std::vector<std::filesystem::path> digest_files;
  std::filesystem::path compare_a, compare_b;
  std::filesystem::path schemas;
  std::vector<std::filesystem::path> documents{"docs"};
  bool check = false;
  std::filesystem::path condense_in, condense_out;
  std::filesystem::path bundle_in, bundle_out;
  CondenseOptions condense;
  CompareOptions compare;
  std::string format = "text";
  std::string tables;
  bool short_answer = false;
  std::filesystem::path export_out;
  BestOptions best;
  ImagesOptions images;
  std::string within = "1%";
  ReportOptions options;
};

// Leaves the tables that the words ask for, and nothing else.
void keep_tables(Report& report, const std::string& words) {
  if (report.tables.empty())
    throw Error(fmt::format("no table has `{}`: these files give no table", words));
  const std::vector<std::string> without = words_without_table(report.tables, words);
  if (!without.empty())
    throw Error(fmt::format("no section or table has `{}` in its title", without.front()),
                "the titles are:\n" + table_titles(report.tables));
  report.tables = tables_with(report.tables, words);
  report.title.clear();
  report.summary.clear();
  report.pictures.clear();
  report.coverage.clear();
}

// Tells what went wrong, and the exit status that follows.
int told(const std::vector<std::string>& problems, std::ostream& err) {
  for (const std::string& problem : problems) err << "analyze: " << problem << "\n";
  return problems.empty() ? 0 : 1;
}

// All points to the file named, or to `out`.
int export_points(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  for (const std::filesystem::path& file : arguments.files) {
    std::error_code absent;
    if (!arguments.export_out.empty() &&
        std::filesystem::equivalent(file, arguments.export_out, absent))
      throw Error(fmt::format("{} is to be read and written", file.string()),
                  "name another file for the points: --out points.csv");
  }
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources(arguments.files, problems);
  const std::vector<Point> points = in_sweep_order(points_of(sources));
  if (arguments.export_out.empty()) {
    write_points_csv(sources, points, out);
  } else if (!points.empty()) {
    std::ostringstream text;
    write_points_csv(sources, points, text);
    write_file(arguments.export_out, text.str());
    out << arguments.export_out.string() << ": " << plural(points.size(), "point") << "\n";
  }
  return told(problems, err);
}

// The sweep of the fastest strategies.
int print_best(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  BestOptions options = arguments.best;
  options.within = share_from(arguments.within);
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources(arguments.files, problems);
  std::vector<Point> points = points_of(sources);
  std::erase_if(points, [](const Point& p) { return p.text("experiment") != "evaluate"; });
  Choices best = choose_best(points, options);
  problems.insert(problems.end(), best.problems.begin(), best.problems.end());
  if (!best.choices.empty()) out << sweep_of(best.choices, options);
  if (points.empty() && problems.empty()) problems.push_back("the files hold no evaluate");
  return told(problems, err);
}

int print_report(Arguments arguments, std::ostream& out, std::ostream& err, bool terminal) {
  if (arguments.files.empty()) throw Error("no file named", "name one: analyze results/demo.h5");
  if (arguments.options.published.empty()) arguments.options.published = installed_published_file();
  if (arguments.folder.empty()) {
    arguments.folder = default_report_folder(arguments.files.front());
  } else {  // which would be told of every picture otherwise
    std::error_code failed;
    std::filesystem::create_directories(arguments.folder, failed);
    if (failed)
      throw Error(fmt::format("the folder {} cannot be made: {}", arguments.folder.string(),
                              failed.message()),
                  "name another one with --out");
  }
  arguments.options.page = true;
  Report report = make_report(arguments.files, arguments.folder, arguments.options);
  if (arguments.short_answer && !report.summary.empty()) {
    out << render_answer(report, arguments.files, arguments.folder, {.bold = terminal});
    out.flush();
    return report.problems.empty() ? 0 : 1;
  }
  const std::vector<std::string> problems = std::exchange(report.problems, {});  // told on `err`
  if (arguments.short_answer) return told(problems, err);  // no file could be read
  if (!arguments.tables.empty()) keep_tables(report, arguments.tables);
  if (arguments.format == "markdown") {
    out << render_markdown(report);
  } else if (arguments.format == "csv") {
    out << render_csv(report);
  } else if (arguments.format == "latex") {
    out << render_latex(report);
  } else {
    out << render_text(report, {.bold = terminal});
    if (!report.summary.empty()) out << "\nReport folder: " << arguments.folder.string() << "\n";
  }
  out.flush();
  return told(problems, err);
}

// A line for each file that can be read; with several, the file's name follows as in sha256sum.
int print_digests(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  int status = 0;
  for (const std::filesystem::path& file : arguments.digest_files) {
    try {
      out << record::digest(file);
      if (arguments.digest_files.size() > 1) out << "  " << file.string();
      out << "\n";
    } catch (const std::exception& error) {
      err << "analyze: " << error.what() << "\n";
      status = 1;
    }
  }
  return status;
}

int print_comparison(const Arguments& arguments, std::ostream& out, std::ostream& err,
                     bool terminal) {
  std::vector<record::SweepRecord> sweeps;
  for (const std::filesystem::path& file : {arguments.compare_a, arguments.compare_b}) {
    try {
      sweeps.push_back(record::read_sweep(file));
    } catch (const std::exception& error) {
      err << "analyze: " << error.what() << "\n";
    }
  }
  if (sweeps.size() < 2) return kUnreadable;
  const Comparison comparison = compare(sweeps[0], sweeps[1], arguments.compare);
  out << "A: " << arguments.compare_a.string() << "\nB: " << arguments.compare_b.string() << "\n\n";
  if (!comparison.table.rows.empty()) {
    out << render_text(comparison.table, {.bold = terminal}) << "\n";
  }
  out << comparison.verdict << "\n";
  return comparison.within ? 0 : 1;
}

// The Markdown files among `paths` and in the folders among them.
std::vector<std::filesystem::path> markdown_files(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".md") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

int regenerate_documents(Arguments arguments, std::ostream& out, std::ostream& err) {
  if (arguments.options.published.empty()) arguments.options.published = installed_published_file();
  int status = 0;
  std::map<std::filesystem::path, std::string> figures;  // of all documents
  for (const std::filesystem::path& file : markdown_files(arguments.documents)) {
    const Regenerated made = regenerate(file, arguments.options.published);
    for (const auto& [figure, content] : made.figures) add_figure(figures, figure, content, file);
    for (const std::string& absent : made.absent) {
      err << "analyze: " << file.string() << ": " << absent << " is absent; its tables are kept\n";
    }
    if (made.records.empty()) continue;
    bool same = made.text == read_file(file);
    for (const auto& [figure, content] : made.figures)
      same = same && figure_is_current(figure, content);
    if (same) {
      out << file.string() << ": up to date\n";
    } else if (arguments.check) {
      err << "analyze: " << file.string() << ": its tables or figures are out of date; run\n"
          << "  analyze regenerate " << file.string() << "\n";
      status = 1;
    } else {
      for (const auto& [figure, content] : made.figures) write_file(figure, content);
      write_file(file, made.text);
      out << file.string() << ": rewritten\n";
    }
  }
  return status;
}

void add_regenerate(CLI::App& app, Arguments& arguments) {
  CLI::App* regenerate = app.add_subcommand(
      "regenerate",
      "rewrite tables and figures of documents from the records that they name: in Markdown, "
      "between <!-- analyze FILE.h5 -->, <!-- analyze FILE.h5 plots --> or <!-- analyze FILE.h5 "
      "pictures --> and <!-- /analyze -->; `FILE.h5: words` or `FILE.h5 plots: words` takes only "
      "those that have the words in their title");
  regenerate->add_option("documents", arguments.documents, "Markdown files, or folders of them")
      ->check(CLI::ExistingPath)
      ->capture_default_str();
  regenerate->add_flag("--check", arguments.check,
                       "write nothing; exit status 1 if a document is out of date");
  regenerate->add_option("--published", arguments.options.published, "file of published figures");
}

void add_export(CLI::App& app, Arguments& arguments) {
  CLI::App* points = app.add_subcommand(
      "export", "write all points with all columns as CSV; docs/records.md describes the columns");
  points->add_option("files", arguments.files, "merged sweep files")->required();
  points->add_option("--out", arguments.export_out, "file to write [printed]");
}

void add_images(CLI::App& app, Arguments& arguments) {
  CLI::App* images = app.add_subcommand(
      "images", "write the images that a record holds of one point to files, or list the points");
  images->add_option("files", arguments.images.files, "merged sweep files")->required();
  images->add_option("--point", arguments.images.point,
                     "the point's ID or its beginning; not needed where one point has images");
  images->add_option("--to", arguments.images.to,
                     "a new folder for PNG files and labels.csv, or FILE.npz for arr_0 "
                     "(N, H, W, 3) and labels in arr_1; without it the points are listed");
}

void add_best(CLI::App& app, Arguments& arguments) {
  CLI::App* best = app.add_subcommand(
      "best",
      "print the fastest strategy whose distance is near For's, with its settings, as a sweep "
      "file that run_sweep reads");
  best->add_option("files", arguments.files, "merged sweep files")->required();
  best->add_option("--within", arguments.within, "how far the distance may be above For's")
      ->capture_default_str();
  best->add_flag("--indicative", arguments.best.indicative,
                 "take times as they were measured, also of jobs that were disturbed; the sweep "
                 "says by what");
  best->add_flag("--each-setting", arguments.best.each_setting,
                 "one strategy for each cfg and self_denoising_lr, not the best of all");
}

void add_condense(CLI::App& app, Arguments& arguments) {
  CLI::App* condense = app.add_subcommand("condense",
                                          "write a small copy of a sweep's record with all points, "
                                          "summed moments and few images");
  condense->add_option("IN", arguments.condense_in, "a sweep's record")->required();
  condense->add_option("OUT", arguments.condense_out, "the copy")->required();
  condense
      ->add_option("--images", arguments.condense.images,
                   "sample images kept of each job of the smallest seed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_bundle(CLI::App& app, Arguments& arguments) {
  CLI::App* bundle = app.add_subcommand(
      "bundle",
      "write a record that holds all of its arrays, also those that a large sweep's record has in "
      "the files of its jobs");
  bundle->add_option("IN", arguments.bundle_in, "a sweep's record")->required();
  bundle->add_option("OUT", arguments.bundle_out, "the record to be written")->required();
}

void add_compare(CLI::App& app, Arguments& arguments) {
  CLI::App* compare =
      app.add_subcommand("compare",
                         "show how much the results of two files differ, point by point; exit "
                         "status 0: they agree, 1: they differ, 2: a file cannot be read");
  compare->add_option("A", arguments.compare_a, "a sweep's or a job's record")->required();
  compare->add_option("B", arguments.compare_b, "another one")->required();
  compare
      ->add_option("--tolerance", arguments.compare.tolerance,
                   "largest accepted difference of a number; 0: equal bits only")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  compare->add_flag("--relative", arguments.compare.relative,
                    "the tolerance applies to |a - b| / max(|a|, |b|)");
  compare->add_flag("--times", arguments.compare.times, "compare times and devices as well");
}

// For an option that the program, or the subcommand that was named, does not have: the nearest that
// it has. "" where nothing is near.
std::string option_meant(const CLI::App& app, int argc, const char* const* argv) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  const CLI::App& own = parsed.empty() ? app : *parsed.front();
  std::vector<std::string> known = {"-h"};
  for (const CLI::Option* option : own.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (int i = 1; i < argc; ++i) {
    const std::string word(argv[i], std::strcspn(argv[i], "="));
    if (!word.starts_with("--") || std::find(known.begin(), known.end(), word) != known.end())
      continue;
    const std::string near = nearest_option(word, known);
    if (!near.empty()) return fmt::format("did you mean {} instead of {}?\n", near, word);
  }
  return "";
}

// A mistyped subcommand would be taken for a file.
void require_no_slip(const CLI::App& app, const std::vector<std::filesystem::path>& files) {
  if (files.empty()) return;
  const std::string word = files.front().string();
  std::vector<std::string> names;
  for (const CLI::App* known : app.get_subcommands({})) names.push_back(known->get_name());
  const std::string near = nearest_subcommand(word, names);
  if (near.empty()) return;
  std::string line = "analyze " + near;
  for (size_t i = 1; i < files.size(); ++i) line += " " + shell_word(files[i].string());
  throw Error(fmt::format("there is no subcommand {0} and no file {0}", word),
              fmt::format("did you mean {}? write {}", near, line));
}

}  // namespace

int analyze(int argc, const char* const* argv, std::ostream& out, std::ostream& err,
            bool terminal) {
  Arguments arguments;
  CLI::App app("Tables, plots and a page of a sweep's results.", "analyze");
  app.set_version_flag("--version", version_text("analyze"),
                       "print version, git revision and variant of this program");
  app.add_option("files", arguments.files, "merged sweep files: results/<sweep>.h5");
  app.add_option("--out", arguments.folder,
                 "folder of the report [results/<sweep>/report beside the first file]");
  CLI::Option* format = app.add_option("--format", arguments.format, "format of the output")
                            ->check(CLI::IsMember({"text", "markdown", "csv", "latex"}))
                            ->capture_default_str();
  CLI::Option* table =
      app.add_option("--table", arguments.tables,
                     "print only the tables of the section, or with the title, that has these "
                     "words (alternatives: \"one | other\")");
  app.add_flag("--short", arguments.short_answer,
               "print the answer on one screen instead of the tables: what was found, the "
               "strategies at the best setting, what is not valid and why")
      ->excludes(format)
      ->excludes(table);
  app.add_option("--norm", arguments.options.norm,
                 "norm of CRM and IGM [2, or the norm that was measured]")
      ->check(CLI::IsMember({"2", "1", "fro"}));
  app.add_option("--published", arguments.options.published, "file of published figures");
  CLI::App* digest = app.add_subcommand(
      "digest", "print a hash of everything in a file except times, attempts and environment");
  digest->add_option("files", arguments.digest_files, "sweeps' or jobs' records")->required();
  add_compare(app, arguments);
  add_regenerate(app, arguments);
  add_condense(app, arguments);
  add_bundle(app, arguments);
  add_export(app, arguments);
  add_best(app, arguments);
  add_images(app, arguments);
  CLI::App* describe = app.add_subcommand(
      "describe-records", "print the contents of the files as docs/records.md (Markdown)");
  describe->add_option(
      "--schemas", arguments.schemas,
      "description of the experiments [share/experiments.json beside the program]");
  try {
    require_plain_arguments(argc, argv);
    app.parse(argc, argv);
    if (digest->parsed()) return print_digests(arguments, out, err);
    if (app.got_subcommand("compare")) return print_comparison(arguments, out, err, terminal);
    if (app.got_subcommand("best")) return print_best(arguments, out, err);
    if (app.got_subcommand("images")) return write_images(arguments.images, out, err);
    if (app.got_subcommand("export")) return export_points(arguments, out, err);
    if (app.got_subcommand("condense")) {
      condense(arguments.condense_in, arguments.condense_out, arguments.condense);
      return 0;
    }
    if (app.got_subcommand("bundle")) {
      record::bundle(arguments.bundle_in, arguments.bundle_out);
      return 0;
    }
    if (app.got_subcommand("regenerate")) return regenerate_documents(arguments, out, err);
    if (!describe->parsed()) {
      require_no_slip(app, arguments.files);
      return print_report(std::move(arguments), out, err, terminal);
    }
    if (arguments.schemas.empty()) {
      arguments.schemas = installed_published_file().parent_path() / "experiments.json";
    }
    out << record::records_document(read_experiment_schemas(arguments.schemas));
    return 0;
  } catch (const CLI::ParseError& error) {
    if (app.exit(error, out, err) == 0) return 0;  // --help is no failure
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError))
      err << option_meant(app, argc, argv);
    return app.got_subcommand("compare") ? kUnreadable : 1;
  } catch (const std::exception& error) {
    err << "analyze: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace tarflow::analysis
