#include "framework/record/sealed_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/file.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/hdf5.h"

namespace tarflow::record {

void write_sealed(const std::filesystem::path& path, std::vector<Array> arrays) {
  const QuietHdf5 quiet;
  for (const Array& array : arrays) check_array(array);
  std::sort(arrays.begin(), arrays.end(),
            [](const Array& a, const Array& b) { return a.path < b.path; });
  write_aside(path, [&](const std::filesystem::path& aside) {
    {
      const Handle file = create_file(aside);
      write_arrays(file, arrays);
      check(H5Fflush(file, H5F_SCOPE_GLOBAL), fmt::format("cannot write {}", path.string()));
    }
    seal(aside);
  });
}

std::vector<Array> read_sealed(const std::filesystem::path& path) {
  const QuietHdf5 quiet;
  verify_envelope(path);
  return read_arrays(open_file(path));
}

}  // namespace tarflow::record
