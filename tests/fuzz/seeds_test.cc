// What the fuzzers start from, and what they have found, through the same functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/record/dataset_file.h"
#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {
namespace {
namespace fs = std::filesystem;

const fs::path kTests = TARFLOW_SOURCE_DIR "/tests";

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

struct Target {
  const char* name;
  void (*feed)(std::string_view);
};
void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

class FuzzTarget : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzTarget, ReadsOrRefusesEverySeedAndFinding) {
  const Target& target = GetParam();
  size_t fed = 0;
  for (const char* kind : {"seeds", "findings"}) {
    for (const fs::path& file : files_in(kTests / "fuzz" / kind / target.name)) {
      SCOPED_TRACE(file.string());
      EXPECT_NO_THROW(target.feed(read_file(file)));
      ++fed;
    }
  }
  EXPECT_GT(fed, 0U);
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTarget,
                         ::testing::Values(Target{"yaml", yaml}, Target{"pth", pth},
                                           Target{"legacy_pth", legacy_pth},
                                           Target{"safetensors", safetensors}, Target{"npz", npz},
                                           Target{"images", images}, Target{"hdf5", hdf5}),
                         [](const auto& info) { return std::string(info.param.name); });

// What a changed file may lead to: an array, or an Error that names it.
struct Outcome {
  int read = 0, refused = 0, crashed = 0;
};

void read_damaged(const fs::path& file, Outcome& outcome) {
  try {
    record::read_dataset(file, "noise");
    ++outcome.read;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(file.string()));
    const bool crashed = std::strstr(error.what(), "HDF5 failed over it") != nullptr;
    ++(crashed ? outcome.crashed : outcome.refused);
  }
}

TEST(DamagedHdf5, OfUsersIsReadOrRefusedWhateverItDoesToTheLibrary) {
  const ScratchFolder scratch;
  std::mt19937 random(1);
  Outcome outcome;
  for (const fs::path& seed : files_in(kTests / "fuzz/seeds/hdf5")) {
    const std::string whole = read_file(seed);
    for (int round = 0; round < 40; ++round) {
      std::string bytes = whole;
      if (round % 8 == 0) bytes.resize(random() % bytes.size());
      for (int flips = 1 + round % 6; flips > 0 && !bytes.empty(); --flips) {
        bytes[random() % std::min<size_t>(bytes.size(), 2048)] =
            static_cast<char>(random() % 3 ? random() : 0xff);
      }
      read_damaged(scratch.put("damaged.h5", bytes), outcome);
    }
  }
  RecordProperty("crashes_of_the_library", outcome.crashed);
  EXPECT_GT(outcome.read, 50);  // of 560: changes that the reading does not meet
  EXPECT_GT(outcome.refused, 50);
}

}  // namespace
}  // namespace tarflow::fuzz
