#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "analysis/show/latex.h"
#include "analysis/tables/csv.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Table example() {
  Table table;
  table.title = "Rates & more";
  table.columns = {{"strategy", Align::kLeft}, {"total s"}, {"FID"}};
  table.rows = {
      {{"[7-8-32-10]"}, {"1,234.57", true, "", 1234.5678}, {"1.20 ± 0.10", false, "", 1.2, 0.1}},
      {{"For, \"all\""}, {"—", false, "shared"}, {"5.06", false, "", 5.06}}};
  table.rows[1][2].published = true;
  table.footnotes = {"100 % of x_t."};
  return table;
}

TEST(Csv, HoldsAllDigitsErrorsAndRemarks) {
  EXPECT_EQ(render_csv(example()),
            "strategy,total s,FID,FID error,bold,published,notes\n"
            "[7-8-32-10],1234.5678,1.2,0.1,total s,,\n"
            "\"For, \"\"all\"\"\",,5.06,,,FID,total s: shared\n");
}

TEST(Csv, HasNoRemarksWhereThereAreNone) {
  Table table = example();
  table.rows.pop_back();
  table.rows[0][1].bold = false;
  EXPECT_THAT(render_csv(table), StartsWith("strategy,total s,FID,FID error\n"));
}

TEST(Csv, SeveralTablesHaveTitlesAndOneHasNone) {
  Report report;
  report.tables = {example(), Table{"Introduction", "alone", {}, {}, {}}};
  EXPECT_EQ(render_csv(report), render_csv(example()));
  report.tables.push_back(example());
  const std::string titled = "Rates & more\n" + render_csv(example());
  EXPECT_EQ(render_csv(report), titled + "\n" + titled);
}

TEST(Csv, PointsHaveTheColumnsOfAllFiles) {
  record::Row first = {{"point", "p1"}, {"job", "j1"},    {"experiment", "evaluate"},
                       {"cfg", 0.1},    {"model", "a,b"}, {"seed", int64_t{3}}},
              second = {{"point", "p2"}, {"job", "j2"}, {"experiment", "bpd"}, {"best", INFINITY}};
  const std::vector<Source> sources = {testing::make_source("one", {first}, {}),
                                       testing::make_source("two", {second}, {})};
  std::ostringstream out;
  write_points_csv(sources, points_of(sources), out);
  EXPECT_EQ(out.str(),
            "file,point,job,experiment,best,cfg,model,seed\n"
            "one.h5,p1,j1,evaluate,,0.1,\"a,b\",3\n"
            "two.h5,p2,j2,bpd,inf,,,\n");
}

TEST(Latex, IsATableOfBooktabs) {
  EXPECT_EQ(render_latex(example()),
            "\\begin{table}[htbp]\n\\centering\n\\caption{Rates \\& more}\n"
            "\\normalsize\\setlength{\\tabcolsep}{6pt}\n"
            "\\begin{tabular}{@{}lrr@{}}\n\\toprule\n"
            "strategy & total s & FID \\\\\n\\midrule\n"
            "{[}7-8-32-10] & \\textbf{1,234.57} & 1.20 $\\pm$ 0.10 \\\\\n"
            "For, ''all'' & ---\\textsuperscript{a} & \\textit{5.06} \\\\\n"
            "\\bottomrule\n\\end{tabular}\n\\par\\smallskip\n{\\footnotesize\\raggedright\n"
            "\\textsuperscript{a} shared\\par\n100 \\% of x\\_t.\\par\n}\n\\end{table}\n");
}

TEST(Latex, ShowsEveryCharacterAsItIs) {
  EXPECT_EQ(latex_text("a\\b {c} $5 #1 ^2 ~"),
            "a\\textbackslash{}b \\{c\\} \\$5 \\#1 \\textasciicircum{}2 \\textasciitilde{}");
  EXPECT_EQ(latex_text("*x* <y> ‖z‖ ± 2π — –"),
            "{*}x{*} $<$y$>$ $\\|$z$\\|$ $\\pm$ 2$\\pi$ --- --");
}

TEST(Latex, NumbersHaveRealMinusesAndPowers) {
  Table table = example();
  table.rows[0][1] = {"-0.25"};
  table.rows[0][2] = {"3.1e-07"};
  EXPECT_THAT(render_latex(table), HasSubstr("& $-0.25$ & $3.1\\cdot10^{-7}$ \\\\"));
}

TEST(Latex, WideTablesAreSmallerAndLongOnesGoOverPages) {
  Table table = example();
  for (int i = 0; i < 5; ++i) {
    table.columns.push_back({"another column"});
    for (auto& row : table.rows) row.push_back({"12345.67"});
  }
  EXPECT_THAT(render_latex(table), HasSubstr("\\scriptsize"));
  EXPECT_THAT(render_latex(table), HasSubstr("\\shortstack[r]{another\\\\column}"));
  EXPECT_THAT(render_latex(table), Not(HasSubstr("longtable")));
  while (table.rows.size() <= 40) table.rows.push_back(table.rows.front());
  EXPECT_THAT(render_latex(table), HasSubstr("\\end{longtable}"));
  table.rows[3][0].text = std::string(200, 'x');
  EXPECT_THAT(render_latex(table), HasSubstr("}p{0."));
}

TEST(Latex, NamesOfSettingsAreBrokenAfterAnUnderscore) {
  Table table = example();
  table.columns.push_back({"self_denoising_lr"});
  for (auto& row : table.rows) row.push_back({"1"});
  EXPECT_THAT(render_latex(table), HasSubstr("\\shortstack[r]{self\\_\\\\denoising\\_\\\\lr}"));
}

TEST(Latex, WhatNoSizeMakesFitIsScaled) {
  Table table = example();
  EXPECT_THAT(render_latex(table), Not(HasSubstr("resizebox")));
  for (int i = 0; i < 20; ++i) {
    table.columns.push_back({"x"});
    for (auto& row : table.rows) row.push_back({"12345.67"});
  }
  EXPECT_THAT(render_latex(table), HasSubstr("\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}"));
  while (table.rows.size() <= 40) table.rows.push_back(table.rows.front());
  EXPECT_THAT(render_latex(table), AllOf(Not(HasSubstr("longtable")), HasSubstr(" (continued)}")));
}

}  // namespace
}  // namespace tarflow::analysis
