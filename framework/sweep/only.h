// --only: which points are run.
#pragma once

#include <string>
#include <vector>

#include "framework/sweep/fields.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

// Sets Point::selected: every text must hold. A text is `key=value`, `key=value,value`,
// `key!=value`, `key>=1`, `key<=1`, `key>1` or `key<1`, the key a setting or `experiment`; points
// without the key do not match. A text that matches no point is reported with the values there are.
void select_points(const std::vector<std::string>& texts, const ExperimentSchemas& schemas,
                   const Surroundings& surroundings, Sources& sources, Report& report,
                   std::vector<Point>& points);

}  // namespace tarflow::sweep
