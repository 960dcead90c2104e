// The sweep language as a JSON Schema (draft-07), for editors.
#pragma once

#include "framework/core/experiment.h"
#include "framework/core/json.h"

namespace tarflow::sweep {

// What editors complete, explain and underline; it accepts every sweep that load_sweep accepts, and
// every file that sweeps take values from. What depends on files, on a model's shape or on several
// values together only load_sweep checks.
Json sweep_json_schema(const ExperimentSchemas& schemas);

}  // namespace tarflow::sweep
