// The CRM and IGM tables (method.md section 3; the paper's table of CRM percentages).
#pragma once

#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/data/published.h"
#include "analysis/show/table.h"

namespace tarflow::analysis {

inline constexpr double kDominantFactor = 2.0;

// The blocks that need segments, by index: those whose CRM exceeds kDominantFactor times the median
// of the model's blocks. A share of the sum does not tell them: published dominant blocks
// have 10.46 % and more, published others up to 10.93 %. Against the median they have 3.1 and more,
// the others up to 1.7. None is where a value is not finite.
std::vector<bool> dominant_blocks(const std::vector<double>& crm);

// What igm_crm recorded for one point and norm, (K) each, checkpoint order.
struct BlockMetrics {
  std::vector<double> igm_z, igm_zero, crm, crm_percent;
};

// Of one point of experiment igm_crm.
struct BlockRanking {
  Point point;
  std::string name;  // of the model, told apart from others
  std::string norm;  // 2, or the first that was measured instead
  BlockMetrics metrics;
  std::vector<bool> tough;  // dominant_blocks()
};

// Of the points of experiment igm_crm among `points`, by name; those without readable arrays are
// left out, as crm_tables() names them.
std::vector<BlockRanking> block_rankings(const std::vector<Point>& points);

// Throws Error naming the point and what the file lacks. `norm`: "2", "1" or "fro".
BlockMetrics block_metrics(const Point& point, const std::string& norm);

// CRM of all models, then the initial guesses of each. `points`: those of experiment igm_crm.
// `published` may be null. `norm`: "" for 2, and for points without it in a table of another norm.
TableSet crm_tables(const std::vector<Point>& points, const Published* published,
                    const std::string& norm);

}  // namespace tarflow::analysis
