// run_sweep schema: the JSON Schema of sweep files, for editors.
#include "framework/driver/help.h"
#include "framework/driver/look.h"
#include "framework/sweep/json_schema.h"

namespace tarflow::driver {

int print_schema(const RunOptions& options) {
  return print(sweep::sweep_json_schema(schemas_of(options)).dump() + "\n");
}

}  // namespace tarflow::driver
