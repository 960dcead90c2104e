#include <string>

#include "framework/checkpoint/npz.h"
#include "framework/checkpoint/statistics.h"
#include "framework/core/error.h"
#include "framework/images/batch_file.h"
#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {
namespace {

template <typename Body>
void accepted(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    must(!error.problems().empty() && *error.what() != '\0', "an error says nothing");
  }
}

void must_fill_its_shape(const checkpoint::NpyArray& array) {
  size_t elements = 1;
  for (const int64_t side : array.shape) elements *= static_cast<size_t>(side);
  must(array.values.size() == elements, "an array has another size than its shape");
}

}  // namespace

void npz(std::string_view bytes) {
  if (!bytes.starts_with("PK")) {
    accepted([&] {
      must_fill_its_shape(checkpoint::parse_npy(
          {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "fuzz.npy"));
    });
    return;
  }
  static const ScratchFolder folder;
  const std::filesystem::path path = folder.put("fuzz.npz", bytes);
  accepted([&] {
    const checkpoint::Npz file(path);
    size_t read = 0;
    for (const std::string& name : file.names()) {
      if (++read > 16) break;
      accepted([&] { must_fill_its_shape(file.read(name)); });
    }
  });
  accepted([&] { checkpoint::read_statistics(path); });
  accepted([&] {
    images::BatchFile batch(path);
    accepted([&] {
      const auto labels = batch.labels();
      must(!labels || static_cast<int64_t>(labels->size()) == batch.count(),
           "labels of other images");
    });
    for (const int64_t row : {batch.count() - 1, int64_t{0}}) accepted([&] { batch.read(row); });
  });
}

}  // namespace tarflow::fuzz
