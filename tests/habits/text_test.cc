// Files stay short, and the product speaks of itself alone.
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "tests/habits/source_files.h"

namespace tarflow::habits {
namespace {

constexpr size_t kMostLines = 500;

const std::vector<std::string> kProduct = {
    "framework", "experiments", "analysis",     "cmake",        "docs",
    "sweeps",    "third_party", "run_sweep",    "run_tests",    "CMakeLists.txt",
    "README.md", "HACKING.md",  "CHANGELOG.md", "CITATION.cff", "CMakePresets.json"};
const std::set<std::string> kText = {"",     ".h",    ".cc",   ".cu",  ".cuh",  ".cmake", ".md",
                                     ".txt", ".yaml", ".json", ".cff", ".html", ".py",    ".sh"};

void expect_absent(const std::vector<std::filesystem::path>& files,
                   const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    const std::regex regex(pattern);
    for (const auto& file : files) {
      const auto lines = read_lines(file);
      for (size_t i = 0; i < lines.size(); ++i) {
        EXPECT_FALSE(std::regex_search(lines[i], regex))
            << file.string() << ":" << i + 1 << " has " << pattern << ": " << lines[i];
      }
    }
  }
}

TEST(Text, FilesAreShort) {
  for (const auto& file :
       source_files({"framework", "experiments", "analysis", "tests"}, {".h", ".cc", ".cu"})) {
    EXPECT_LE(read_lines(file).size(), kMostLines) << file.string() << " is to be divided";
  }
}

TEST(Text, NoPlacesOfOneMachine) {
  expect_absent(source_files(kProduct, kText),
                {R"((^|[^\w.])/(work|root|home|Users|mnt|scratch)/)", R"(\.\./shared)",
                 R"(pypi\.org|pythonhosted\.org|deb\.debian\.org)"});
}

TEST(Text, NothingIsLeftForLater) {
  expect_absent(source_files(kProduct, kText), {R"(\b(TODO|FIXME|XXX|HACK)\b)"});
}

// A variable `at` beside LibTorch's namespace `at` misleads the reader.
bool names_variable_at(const std::string& line) {
  static const std::regex variable(R"((^|[^\w.>:])at([^\w:]|$))");
  return std::regex_search(code_of(line), variable);
}

TEST(Text, NoVariableIsNamedAsTheNamespaceOfLibTorch) {
  for (const auto& file : source_files(
           {"framework/sampling", "framework/kernels", "framework/model", "framework/tensor"},
           {".h", ".cc", ".cu", ".cuh"})) {
    const auto lines = read_lines(file);
    for (size_t i = 0; i < lines.size(); ++i)
      EXPECT_FALSE(names_variable_at(lines[i])) << file.string() << ":" << i + 1 << lines[i];
  }
  EXPECT_TRUE(names_variable_at("  float* at = out;"));
  EXPECT_TRUE(names_variable_at("  at[e] = four[e];"));
  EXPECT_FALSE(names_variable_at("  at::Tensor x = blocks.at(0);  // at the end"));
  EXPECT_FALSE(names_variable_at("  throw Error(\"at most\");"));
}

// A document that a comment or a page sends the reader to must be there.
TEST(Text, NamedDocumentsExist) {
  const std::regex name(R"(\b([A-Za-z_-]+)\.md\b)");
  const std::set<std::string> written_by_programs = {"report.md"};
  for (const auto& file : source_files(kProduct, kText)) {
    const auto lines = read_lines(file);
    for (size_t i = 0; i < lines.size(); ++i) {
      for (std::sregex_iterator match(lines[i].begin(), lines[i].end(), name), end; match != end;
           ++match) {
        const std::string document = match->str();
        if (written_by_programs.contains(document)) continue;
        const bool exists = std::filesystem::exists(kRoot / document) ||
                            std::filesystem::exists(kRoot / "docs" / document) ||
                            std::filesystem::exists(kRoot / file.parent_path() / document);
        EXPECT_TRUE(exists) << file.string() << ":" << i + 1 << " names " << document
                            << ", which is neither at the root nor in docs/";
      }
    }
  }
}

}  // namespace
}  // namespace tarflow::habits
