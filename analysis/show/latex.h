// Tables for LaTeX, with booktabs.
#pragma once

#include <string>

#include "analysis/show/table.h"

namespace tarflow::analysis {

// What a document that shows them needs in its preamble, one line.
inline constexpr const char* kLatexPackages = "\\usepackage{array,booktabs,graphicx,longtable}";

// Text that LaTeX shows as it is. Signs that pdflatex knows only in mathematics are put there.
std::string latex_text(const std::string& text);

// A float with a caption; one of more rows than a page holds is a longtable. Text size and the
// space between columns are chosen so that it fits a column of 345 pt, the width of an article.
std::string render_latex(const Table& table);
// All tables that have columns, below a comment that names the packages.
std::string render_latex(const Report& report);

}  // namespace tarflow::analysis
