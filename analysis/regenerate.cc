#include "analysis/regenerate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <stdlib.h>

#include <array>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "analysis/page/plots.h"
#include "analysis/report.h"
#include "analysis/show/gnuplot.h"
#include "analysis/show/markdown.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kOpen = "<!-- analyze ", kClose = "<!-- /analyze -->", kEnd = " -->";

// By the word behind a mark's file; tables without one.
enum class Kind { kTable, kPlot, kPicture };
constexpr std::array<std::pair<Kind, const char*>, 3> kKinds{
    {{Kind::kTable, "table"}, {Kind::kPlot, "plot"}, {Kind::kPicture, "picture"}}};

// What a mark asks for.
struct Wanted {
  std::string file;   // as written
  std::string words;  // alternatives, parted by " | "; "" takes all of the kind
  size_t line = 0;    // of the mark, from 1
  Kind kind = Kind::kTable;
};

Error misplaced(const fs::path& document, size_t line, const std::string& what) {
  return Error(what,
               fmt::format("write `{}FILE{}` above the tables and `{}` below", kOpen, kEnd, kClose),
               {document.string(), static_cast<int>(line), 1});
}

Wanted read_mark(const fs::path& document, std::string_view line, size_t number) {
  line.remove_prefix(kOpen.size());
  if (!line.ends_with(kEnd)) throw misplaced(document, number, "this mark does not end");
  line.remove_suffix(kEnd.size());
  const size_t colon = line.find(": ");
  Wanted wanted{std::string(line.substr(0, colon)), "", number};
  if (colon != std::string_view::npos) wanted.words = line.substr(colon + 2);
  for (const auto& [kind, name] : kKinds) {
    const std::string word = fmt::format(" {}s", name);
    if (kind == Kind::kTable || !wanted.file.ends_with(word)) continue;
    wanted.kind = kind;
    wanted.file.resize(wanted.file.size() - word.size());
    break;
  }
  return wanted;
}

// A folder for the pictures and plots of a report; removed with the value.
class Aside {
 public:
  Aside() {
    std::string name = (fs::temp_directory_path() / "tarflow-analyze-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(fmt::format("cannot make a folder in {}", fs::temp_directory_path().string()));
    path_ = name;
  }
  ~Aside() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The report's plots as they stand in the document; their files are added to `figures`.
std::string plots_of(const fs::path& document, const Wanted& wanted, const Report& report,
                     const fs::path& drawn, std::map<fs::path, std::string>& figures) {
  const fs::path folder = document.parent_path() / "figures";
  std::string text;
  for (const Plot& plot : report.plots) {
    Table named;
    named.title = plot.title;
    if (!holds_words(named, wanted.words)) continue;
    if (find_gnuplot().empty())
      throw Error("gnuplot, which draws the figures, is not installed", "apt install gnuplot-nox",
                  {document.string(), static_cast<int>(wanted.line), 1});
    for (const char* ending : {".gp", ".dat", ".svg"})
      add_figure(figures, folder / (plot.name + ending), read_file(drawn / (plot.name + ending)),
                 document);
    add_figure(figures, folder / "style.gp", plot_style(), document);
    text += fmt::format("\n![{}](figures/{}.svg)\n\n{}: {}\n", escape_markdown(plot.title),
                        plot.name, escape_markdown(plot.title), escape_markdown(plot.caption));
  }
  return text;
}

// The report's pictures of images, rows named, likewise.
std::string pictures_of(const fs::path& document, const Wanted& wanted, const Report& report,
                        const fs::path& drawn, std::map<fs::path, std::string>& figures) {
  std::string text;
  for (const Picture& picture : report.pictures) {
    Table named;
    named.title = picture.caption;
    if (!holds_words(named, wanted.words)) continue;
    const std::string file = picture.file.filename().string();
    add_figure(figures, document.parent_path() / "figures" / file, read_file(drawn / picture.file),
               document);
    text += fmt::format("\n![{0}](figures/{1})\n\n{0}\n", escape_markdown(picture.caption), file);
    std::vector<std::string> rows;
    for (const std::string& label : picture.row_labels) rows.push_back(escape_markdown(label));
    if (!rows.empty()) text += fmt::format("Rows, from above: {}.\n", fmt::join(rows, "; "));
  }
  return text;
}

std::string tables_of(const fs::path& document, const Wanted& wanted, const fs::path& record,
                      const fs::path& published, std::map<fs::path, std::string>& figures) {
  const Aside aside;
  ReportOptions options;
  options.published = published;
  options.page = wanted.kind == Kind::kPlot;
  const Report report = make_report({record}, aside.path(), options);
  if (!report.problems.empty()) throw Error(report.problems.front());
  std::string text;
  switch (wanted.kind) {
    case Kind::kTable:
      for (const Table& table : report.tables)
        if (holds_words(table, wanted.words)) text += "\n" + render_markdown(table);
      break;
    case Kind::kPlot:
      text = plots_of(document, wanted, report, plots_folder(aside.path()), figures);
      break;
    case Kind::kPicture:
      text = pictures_of(document, wanted, report, aside.path(), figures);
      break;
  }
  if (text.empty()) {
    const char* kind = kKinds[static_cast<size_t>(wanted.kind)].second;
    throw misplaced(document, wanted.line,
                    wanted.words.empty()
                        ? fmt::format("{} gives no {}", wanted.file, kind)
                        : fmt::format("no {} of {} has `{}`", kind, wanted.file, wanted.words));
  }
  return text + "\n";
}

}  // namespace

Regenerated regenerate(const fs::path& document, const fs::path& published) {
  Regenerated result;
  std::istringstream lines(read_file(document));
  std::optional<Wanted> open;
  std::string kept;  // what stands between the marks now
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (!open) {
      if (line == kClose) throw misplaced(document, number, "this mark closes nothing");
      result.text += line + "\n";
      if (line.starts_with(kOpen)) open = read_mark(document, line, number);
      kept.clear();
      continue;
    }
    if (line.starts_with(kOpen)) throw misplaced(document, number, "the mark before is not closed");
    if (line != kClose) {
      kept += line + "\n";
      continue;
    }
    const fs::path record = document.parent_path() / open->file;
    std::error_code ignored;
    if (fs::exists(record, ignored)) {
      result.records.push_back(record);
      result.text += tables_of(document, *open, record, published, result.figures);
    } else {
      result.absent.push_back(open->file);
      result.text += kept;
    }
    result.text += line + "\n";
    open.reset();
  }
  if (open) throw misplaced(document, open->line, "this mark is not closed");
  return result;
}

void add_figure(std::map<fs::path, std::string>& figures, const fs::path& file,
                const std::string& content, const fs::path& document) {
  const auto [place, added] = figures.emplace(file.lexically_normal(), content);
  if (added || place->second == content) return;
  throw Error(
      fmt::format("two records draw figures/{}, and not the same", file.filename().string()),
      "show it from one record only: choose plots or pictures by words of their titles",
      {document.string(), 0, 0});
}

bool figure_is_current(const fs::path& file, const std::string& made) {
  if (!fs::exists(file)) return false;
  const std::string there = read_file(file);
  if (there == made || file.extension() != ".svg") return there == made;
  const auto version = [](const std::string& svg) {
    const size_t place = svg.find("<desc>");
    return svg.substr(place, svg.find('\n', place) - place);
  };
  return version(there) != version(made);
}

}  // namespace tarflow::analysis
