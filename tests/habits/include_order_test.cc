// A room includes only the rooms named here, so that each can be read, built and tested without
// those after it.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>

#include "tests/habits/source_files.h"

namespace tarflow::habits {
namespace {

using Rooms = std::set<std::string>;

const std::map<std::string, Rooms> kMayInclude = {
    {"core", {}},
    {"checkpoint", {"core"}},
    {"images", {"core", "checkpoint"}},
    {"sweep", {"core", "checkpoint"}},
    {"process", {"core"}},
    {"record", {"core", "process"}},
    {"command", {"core", "process"}},
    {"job", {"core", "checkpoint", "images", "process", "record", "sweep"}},
    {"local", {"core", "job", "process", "sweep"}},
    {"slurm", {"command", "core", "checkpoint", "images", "job", "process", "record", "sweep"}},
    {"driver",
     {"command", "core", "checkpoint", "images", "job", "local", "process", "record", "slurm",
      "sweep"}},
    {"tensor", {"core"}},
    {"dist", {"core", "tensor"}},
    {"kernels", {"core", "tensor"}},
    {"model", {"core", "checkpoint", "kernels", "tensor"}},
    {"training", {"checkpoint", "core", "kernels", "model", "tensor"}},
    {"sampling", {"core", "kernels", "model", "tensor"}},
    {"metrics", {"checkpoint", "core", "images", "kernels", "model", "tensor"}},
};
const Rooms kWithoutLibTorch = {"core",    "checkpoint", "images", "sweep", "record", "process",
                                "command", "job",        "local",  "slurm", "driver"};
const Rooms kAnalysisMayInclude = {"core", "images", "process", "record"};
// Folders of `analysis`, each with those of the others that it may include.
const std::map<std::string, Rooms> kInAnalysis = {
    {"show", {}},
    {"data", {"show"}},
    {"tables", {"data", "show"}},
    {"page", {"data", "show", "tables"}},
};
// The worker has nothing to do with whoever starts it.
const Rooms kNotForExperiments = {"command", "local", "slurm", "driver"};

std::string rooms_named(const Rooms& rooms) {
  std::string names;
  for (const std::string& room : rooms) names += " " + room;
  return names.empty() ? " nothing of ours" : names;
}

// What is wrong with one line of a file of `owner` ("framework/core", "analysis"), if anything.
std::optional<std::string> fault(const std::string& owner, const Rooms& allowed, bool libtorch,
                                 const std::string& line) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  static const std::regex torch("^(ATen|torch|c10|caffe2)/.*");
  std::smatch match;
  if (!std::regex_search(line, match, include)) return std::nullopt;
  const std::filesystem::path target = match[2].str();
  const std::string first = target.begin()->string();
  const std::string second = std::next(target.begin()) == target.end()
                                 ? std::string()
                                 : std::next(target.begin())->string();
  if (!libtorch && std::regex_match(match[2].str(), torch)) {
    return "includes LibTorch, which " + owner + " does without";
  }
  if (match[1] == "<") return std::nullopt;
  if (first == "framework") {
    if (owner == "framework/" + second || allowed.contains(second)) return std::nullopt;
    return "includes " + target.string() + "; " + owner + " may include" + rooms_named(allowed);
  }
  if (first == owner) return std::nullopt;
  return "includes " + target.string() + "; name files by their path from the root, and only of " +
         owner + " and the framework's";
}

void expect_no_fault(const std::string& owner, const Rooms& allowed, bool libtorch) {
  for (const auto& file : source_files({owner}, {".h", ".cc", ".cu", ".cuh"})) {
    const auto lines = read_lines(file);
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto found = fault(owner, allowed, libtorch, lines[i]);
      EXPECT_FALSE(found) << file.string() << ":" << i + 1 << " " << found.value_or("");
    }
  }
}

TEST(IncludeOrder, EveryRoomIsInTheTable) {
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "framework")) {
    if (!entry.is_directory()) continue;
    EXPECT_TRUE(kMayInclude.contains(entry.path().filename()))
        << "framework/" << entry.path().filename().string()
        << " is new: state in this test what it may include";
  }
}

TEST(IncludeOrder, RoomsIncludeWhatTheyMay) {
  for (const auto& [room, allowed] : kMayInclude) {
    expect_no_fault("framework/" + room, allowed, !kWithoutLibTorch.contains(room));
  }
}

TEST(IncludeOrder, AnalysisNeedsNoLibTorchAndNoExperiments) {
  expect_no_fault("analysis", kAnalysisMayInclude, false);
}

TEST(IncludeOrder, FoldersOfAnalysisIncludeWhatTheyMay) {
  for (const auto& [folder, allowed] : kInAnalysis) {
    for (const auto& file : source_files({"analysis/" + folder}, {".h", ".cc"})) {
      for (const std::string& line : read_lines(file)) {
        static const std::regex include("^#include \"analysis/([^\"]+)\"");
        std::smatch match;
        if (!std::regex_search(line, match, include)) continue;
        const std::string other = std::filesystem::path(match[1].str()).begin()->string();
        EXPECT_TRUE(other == folder || allowed.contains(other)) << file.string() << ": " << line;
      }
    }
  }
}

TEST(IncludeOrder, ExperimentsIncludeTheFrameworkWithoutTheDriver) {
  Rooms all;
  for (const auto& [room, allowed] : kMayInclude) {
    if (!kNotForExperiments.contains(room)) all.insert(room);
  }
  expect_no_fault("experiments", all, true);
  for (const std::string& room : kNotForExperiments) ASSERT_TRUE(kMayInclude.contains(room));
}

TEST(IncludeOrder, TheWorkerDoesNotIncludeItsExperiments) {
  const std::regex other("^#include \"experiments/(?!worker/).*");
  for (const auto& file : source_files({"experiments/worker"}, {".h", ".cc"})) {
    for (const std::string& line : read_lines(file)) {
      EXPECT_FALSE(std::regex_match(line, other)) << file.string() << ": " << line;
    }
  }
}

TEST(IncludeOrder, TheTableHasNoCircle) {
  Rooms known;
  for (size_t round = 0; round < kMayInclude.size(); ++round) {
    for (const auto& [room, allowed] : kMayInclude) {
      if (std::includes(known.begin(), known.end(), allowed.begin(), allowed.end())) {
        known.insert(room);
      }
    }
  }
  EXPECT_EQ(known.size(), kMayInclude.size());
}

TEST(IncludeOrder, FaultsAreSeen) {
  const auto core = [](const std::string& line) {
    return fault("framework/core", {}, false, line).has_value();
  };
  EXPECT_FALSE(core("#include <vector>"));
  EXPECT_FALSE(core("#include \"framework/core/error.h\""));
  EXPECT_FALSE(core("// mentions \"framework/sweep/sweep.h\""));
  EXPECT_TRUE(core("#include \"framework/sweep/sweep.h\""));
  EXPECT_TRUE(core("  #  include \"framework/sweep/sweep.h\""));
  EXPECT_TRUE(core("#include <ATen/ATen.h>"));
  EXPECT_TRUE(core("#include \"error.h\""));
  EXPECT_TRUE(core("#include \"experiments/worker/registry.h\""));
  EXPECT_FALSE(fault("framework/model", {"tensor"}, true, "#include <ATen/ATen.h>"));
  EXPECT_FALSE(
      fault("framework/model", {"tensor"}, true, "#include \"framework/tensor/device.h\""));
}

}  // namespace
}  // namespace tarflow::habits
