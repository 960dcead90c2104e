#include "analysis/page/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "analysis/data/provenance.h"
#include "analysis/page/page_summary.h"
#include "analysis/page/plots.h"
#include "analysis/show/format.h"
#include "analysis/show/html.h"
#include "analysis/show/page_style.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLargePlot = 150'000;  // bytes of an SVG
constexpr int kWidePlot = 500;          // pixels; a wider one scrolls on a narrow screen
constexpr size_t kShownJobs = 50;       // failed or running ones
constexpr int kRefreshSeconds = 20;     // while the sweep runs

// A section with its entry in the list of contents.
struct Section {
  std::string id, title, body;
};

std::optional<std::string> bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Pictures as data, as long as there is room.
class Embedder {
 public:
  explicit Embedder(size_t room) : room_(room) {}

  // An <img>; where the file is too large for the room that is left, or absent, a sentence.
  std::string image(const fs::path& file, const std::string& alt) {
    const std::optional<std::string> bytes = bytes_of(file);
    if (!bytes || bytes->empty()) return "<p class=soft>Not drawn.</p>";
    const bool drawing = file.extension() == ".svg";
    const std::string data = base64(drawing ? for_both_schemes(*bytes) : *bytes);
    if (data.size() > room_) {
      return fmt::format("<p class=soft>Left out to keep this page small: {}.</p>",
                         escape_html(file.filename().string()));
    }
    room_ -= data.size();
    return fmt::format("<img loading=lazy alt=\"{}\" src=\"data:{};base64,{}\">", escape_html(alt),
                       drawing ? "image/svg+xml" : "image/png", data);
  }

  // A plot as SVG, as PNG where it has so many points that this is smaller.
  std::string plot(const fs::path& folder, const std::string& name, const std::string& alt) {
    std::error_code absent;
    const fs::path svg = folder / (name + ".svg"), png = folder / (name + ".png");
    const bool large = fs::file_size(svg, absent) > kLargePlot && !absent && fs::exists(png);
    return image(large ? png : svg, alt);
  }

 private:
  size_t room_;
};

std::string paragraphs(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "<p>" + escape_html(line) + "</p>\n";
  return text;
}

std::string bullets(const std::vector<std::string>& lines, const char* kind) {
  std::string text = fmt::format("<ul{}>\n", kind);
  for (const std::string& line : lines) text += "<li>" + escape_html(line) + "\n";
  return text + "</ul>\n";
}

Section summary_section(const std::vector<Point>& points,
                        const std::vector<MeasuredFamily>& families) {
  std::string text = paragraphs(plain_summary(points, families));
  text += "<details><summary>Words of the plots and tables</summary><dl>";
  for (const auto& [word, meaning] : glossary())
    text += fmt::format("<dt>{}<dd>{}", escape_html(word), escape_html(meaning));
  return {"summary", "In short", text + "</dl></details>\n"};
}

std::string progress_html(const Source& source, const SweepProgress& progress) {
  return fmt::format(
      "<p>{0}: {1} of {2} done, {3} running, {4} failed; as of {5}.</p>"
      "<progress max={6} value={1} aria-label=\"points done\">{1}/{6}</progress>\n",
      escape_html(source.sweep.name), progress.done, plural(progress.points, "point"),
      plural(progress.running, "job"), progress.failed, escape_html(progress.updated),
      progress.points);
}

std::string job_html(const JobFolderState& job) {
  std::string state = job.failed()          ? job.outcome
                      : job.attempts == 0   ? "waiting"
                      : job.outcome.empty() ? "running, or its driver was killed"
                                            : job.outcome;
  std::string text =
      fmt::format("<details><summary><b>{}</b>: {}, {} (job <code>{}</code>)</summary>\n<dl>",
                  escape_html(state), escape_html(job.what), plural(job.points, "point"),
                  escape_html(job.hash));
  const auto entry = [&](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format("<dt>{}<dd>{}", name, escape_html(value));
  };
  entry("reason", job.reason);
  entry("progress", job.progress);
  entry("attempts", job.attempts > 0 ? std::to_string(job.attempts) : "");
  entry("last start", job.start);
  entry("folder", job.path.string());
  text += "</dl>";
  if (!job.last_lines.empty()) {
    text += fmt::format("<p>Last lines of its log:</p><pre tabindex=0>{}</pre>",
                        escape_html(job.last_lines));
  }
  return text + "</details>\n";
}

std::optional<Section> jobs_section(const std::vector<Source>& sources,
                                    const std::vector<JobFolderState>& jobs) {
  std::string text;
  for (const Source& source : sources) {
    const auto progress = sweep_progress(source);
    if (progress && !progress->over) text += progress_html(source, *progress);
  }
  for (size_t i = 0; i < std::min(jobs.size(), kShownJobs); ++i) text += job_html(jobs[i]);
  if (jobs.size() > kShownJobs)
    text += fmt::format("<p>And {} more.</p>", plural(jobs.size() - kShownJobs, "job"));
  if (text.empty()) return std::nullopt;
  return Section{"jobs", "Jobs without results", text};
}

std::string alternative(const Plot& plot) {
  return plot.title + ". " + plot.caption + (plot.values.empty() ? "" : " " + plot.values);
}

std::optional<Section> plots_section(const Report& report, const fs::path& folder,
                                     Embedder& embedder) {
  if (report.plots.empty()) return std::nullopt;
  std::string text = "<div class=plots>\n";
  for (const Plot& plot : report.plots) {
    const bool wide = plot.width > kWidePlot;
    std::string drawing = embedder.plot(plots_folder(folder), plot.name, alternative(plot));
    if (wide) {
      drawing = fmt::format(
          "<div class=more><div class=scroll role=region tabindex=0 aria-label=\"{}\" "
          "style=\"--w:{}px\">{}</div></div>",
          escape_html(plot.title), plot.width, drawing);
    }
    text += fmt::format("<figure{}><h3>{}</h3>{}<figcaption>{}</figcaption></figure>\n",
                        wide ? " class=wide" : "", escape_html(plot.title), drawing,
                        escape_html(plot.caption));
  }
  text +=
      "</div>\n<p class=soft>The folder plots beside this page has the script, the data, SVG and "
      "PNG "
      "of each plot. Put settings of your own into plots/own.gp.</p>\n";
  return Section{"plots", "Plots", text};
}

std::optional<Section> pictures_section(const Report& report, const fs::path& folder,
                                        Embedder& embedder) {
  if (report.pictures.empty()) return std::nullopt;
  std::string text;
  for (const Picture& picture : report.pictures) {
    std::string alt = picture.caption;
    for (size_t i = 0; i < picture.row_labels.size(); ++i)
      alt += fmt::format(" Row {}: {}.", i + 1, picture.row_labels[i]);
    const std::string image = embedder.image(folder / picture.file, alt),
                      heading = escape_html(picture.heading()),
                      caption = escape_html(picture.caption);
    if (picture.folded) {
      text += fmt::format(
          "<details class=print><summary>{}</summary><figure class=picture>{}<figcaption>{}"
          "</figcaption></figure></details>\n",
          heading, image, caption);
    } else {
      text += fmt::format(
          "<figure class=picture><h3>{0}</h3><div class=more><div class=\"scroll tall\" "
          "role=region "
          "tabindex=0 aria-label=\"{0}\">{1}</div></div><figcaption>{2}</figcaption></figure>\n",
          heading, image, caption);
    }
  }
  return Section{"pictures", "Samples", text};
}

// A narrow screen shows few columns: the rate is what most readers look for.
Table with_rate_second(Table table) {
  const auto rate = std::find_if(table.columns.begin(), table.columns.end(),
                                 [](const TableColumn& column) { return column.title == "rate"; });
  const auto place = rate - table.columns.begin();
  if (rate == table.columns.end() || place < 2) return table;
  std::rotate(table.columns.begin() + 1, rate, rate + 1);
  for (auto& row : table.rows) {
    const auto cell = row.begin() + place;
    std::rotate(row.begin() + 1, cell, cell + 1);
  }
  return table;
}

Section tables_section(const Report& report, const Anchors& anchors) {
  std::string text;
  if (report.tables.size() > 1) {
    text += "<details><summary>List of tables</summary><ul>";
    for (size_t i = 0; i < report.tables.size(); ++i)
      text += fmt::format("\n<li><a href=#t{}>{}</a>", i + 1, escape_html(report.tables[i].title));
    text += "</ul></details>\n";
  }
  for (size_t i = 0; i < report.tables.size(); ++i)
    text += render_html(with_rate_second(report.tables[i]), fmt::format("t{}", i + 1), anchors);
  return {"tables", "Tables", text};
}

// The tables and where their numbers come from, as far as `most_bytes` allow.
std::pair<Section, Section> tables_and_origins(const Report& report,
                                               const std::vector<Point>& points,
                                               size_t most_bytes) {
  const auto made = [&](Detail detail, const char* introduction) {
    const Provenance origins = provenance(points, detail);
    return std::pair{tables_section(report, origins.anchors),
                     Section{"origins", "Where the numbers come from",
                             fmt::format("<p>{}</p>\n", introduction) + origins.html}};
  };
  auto both = made(Detail::kEachPoint,
                   "A name in the first column of a table is a link to its point here.");
  if (both.first.body.size() + both.second.body.size() <= most_bytes) return both;
  return made(Detail::kShared,
              "There are too many points to show the settings of each here. "
              "<code>analyze export</code> writes all columns of all points as CSV.");
}

std::string head(const Report& report, bool running) {
  // Nothing may be loaded, whatever a name in a sweep file contains.
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
      "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action "
      "'none'\">\n"
      "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
      "<meta name=color-scheme content=\"light dark\">\n{}<title>{}</title>\n<style>{}</style>\n"
      "</head>\n",
      running ? fmt::format("<meta http-equiv=refresh content={}>\n", kRefreshSeconds) : "",
      escape_html(report.title), kPageStyle);
  return text;
}

bool still_running(const std::vector<Source>& sources) {
  for (const Source& source : sources) {
    const auto progress = sweep_progress(source);
    if (progress && !progress->over) return true;
  }
  return false;
}

}  // namespace

std::string render_page(const Report& report, const std::vector<Source>& sources,
                        const std::vector<Point>& points,
                        const std::vector<MeasuredFamily>& families,
                        const std::vector<JobFolderState>& jobs, const fs::path& folder,
                        size_t most_bytes) {
  auto [tables, origins] = tables_and_origins(report, points, most_bytes);
  const size_t length = tables.body.size() + origins.body.size();
  Embedder embedder(std::min(kMostPictureBytes, length < most_bytes ? most_bytes - length : 0));
  // Samples first, then the answer; where each number comes from stands last.
  std::vector<Section> sections;
  const auto add = [&](std::optional<Section> section) {
    if (section) sections.push_back(std::move(*section));
  };
  add(pictures_section(report, folder, embedder));
  add(summary_section(points, families));
  if (!report.problems.empty())
    add(Section{"problems", "Problems", bullets(report.problems, " class=problem")});
  add(jobs_section(sources, jobs));
  add(plots_section(report, folder, embedder));
  add(std::move(tables));
  add(std::move(origins));
  add(Section{"points", "Points shown and left out", bullets(report.coverage, "")});

  std::string text = head(report, still_running(sources));
  text += fmt::format(
      "<body>\n<a class=skip href=#main>Skip to the results</a>\n<header><h1>{}</h1>"
      "\n{}</header>\n<nav aria-label=Contents><ul>\n",
      escape_html(report.title), paragraphs(report.summary));
  for (const Section& section : sections)
    text += fmt::format("<li><a href=#{}>{}</a>\n", section.id, section.title);
  text += "</ul></nav>\n<main id=main tabindex=-1>\n";
  for (const Section& section : sections) {
    text +=
        fmt::format("<section aria-labelledby={0}-h id={0}><h2 id={0}-h>{1}</h2>\n{2}</section>\n",
                    section.id, section.title, section.body);
  }
  text += "</main>\n<script>";
  text += kPageScript;
  return text + "</script>\n</body>\n</html>\n";
}

}  // namespace tarflow::analysis
