// Comma-separated values (RFC 4180, UTF-8, LF): tables as they are printed, and all points.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

// A field, in quotes where it needs them.
std::string csv_field(std::string_view text);

// One line of titles and one a row. Numbers have all their digits; a column whose cells have
// standard errors is followed by `TITLE error`; absent values are empty. Where a table has bold
// cells, footnotes of cells or published figures, the columns `bold`, `notes` and `published` name
// the columns they stand in.
std::string render_csv(const Table& table);
// All tables that have columns, with an empty line between them, each below a line of its title
// where there are several.
std::string render_csv(const Report& report);

// All points, in the order given, with all columns of their files: `file`, `point`, `job`,
// `experiment`, then the others by name, as docs/records.md describes them. Absent values are
// empty.
void write_points_csv(const std::vector<Source>& sources, const std::vector<Point>& points,
                      std::ostream& out);

}  // namespace tarflow::analysis
