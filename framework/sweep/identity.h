// How points are identified.
#pragma once

#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

// The value's part in a point's identity, "" when it has none.
std::string identity_text(const Field& field, const Json& value);

struct IdentityPart {
  const std::string* name;
  const std::string* text;  // of identity_text
};

// The id that point_id gives to settings with these parts, which are sorted by name. For many
// points of few values this spares printing each value again.
std::string point_id_of(const ExperimentSchema& schema, const std::vector<IdentityPart>& parts);

}  // namespace tarflow::sweep
