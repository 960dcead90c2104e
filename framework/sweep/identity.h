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

// The ids that point_id gives to settings with these parts, which are sorted by name. For many
// points of few values this spares printing each value again.
class PointIds {
 public:
  explicit PointIds(const ExperimentSchema& schema);
  std::string id(const std::vector<IdentityPart>& parts);

 private:
  std::string text_;
  size_t head_ = 0;  // length of what all ids begin with
};

}  // namespace tarflow::sweep
