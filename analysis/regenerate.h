// Tables in documents, made again from the records they come from.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tarflow::analysis {

struct Regenerated {
  std::string text;                            // the document with its tables rewritten
  std::vector<std::filesystem::path> records;  // files it takes tables from, as they were opened
  std::vector<std::string> absent;             // those that are not there; their tables stay
  std::map<std::filesystem::path, std::string> figures;  // files of its figures, by path
};

// A document (Markdown) says where tables come from by two comments, each a line of its own,
//   <!-- analyze ../results/reference/demo.h5 -->
//   <!-- /analyze -->
// between which stand the tables of the report on that merged sweep file (a path from the
// document's folder). `<!-- analyze FILE: words | words -->` takes only tables whose title or
// introduction holds one of these. `FILE plots` or `FILE plots: words` takes plots instead, and
// `FILE pictures` or `FILE pictures: words` pictures of images; their files go into figures/ beside
// the document. Everything else is kept as it is. `published`: file of published figures. Throws
// Error, with file and line, for marks that do not pair, for a file that cannot be read, and for
// marks to which no table, plot or picture belongs. Throws Error where a document has figures and
// gnuplot is not installed.
Regenerated regenerate(const std::filesystem::path& document,
                       const std::filesystem::path& published);

// Adds a file of a figure to those that documents draw. Throws Error, with the document, where
// another figure has its name: reports name figures by what they show, not by their record.
void add_figure(std::map<std::filesystem::path, std::string>& figures,
                const std::filesystem::path& file, const std::string& content,
                const std::filesystem::path& document);

// Whether the figure's file is up to date. SVGs differ between versions of gnuplot, so
// they are compared only where both are of one; scripts and data always.
bool figure_is_current(const std::filesystem::path& file, const std::string& made);

}  // namespace tarflow::analysis
