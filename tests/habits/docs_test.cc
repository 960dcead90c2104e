// The commands and sweep files that the documentation shows are run as they stand. A fenced block
// says how:
//
//   ```bash run              runs; words after `run` are appended to each ./run_sweep, as in `bash
//   run --smoke`
//   ```yaml sweep            is a whole sweep file: ./run_sweep FILE --dry-run, or the words after
//   `sweep` instead
//   ```text prints          every line of it is one of those that the block before printed,
//   numbers,
//                           identities and the name of the CPU aside
//   ```bash not-run: why     (or yaml) is only read: needs Slurm, a GPU, files that others publish,
//   ...
//
// The blocks of a document run in their order in one scratch folder that looks like the repository
// after a build.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/habits/source_files.h"

namespace tarflow::habits {
namespace {

const std::filesystem::path kPrograms = std::filesystem::path(TARFLOW_BINARY_DIR) / "bin";

struct Block {
  std::string language;  // bash, yaml, ...
  std::string how;       // run, sweep, not-run: or nothing
  std::string words;     // the rest of the first line
  std::string text;
  size_t line = 0;  // of the opening fence, from 1
};

std::vector<Block> read_blocks(std::istream& document) {
  std::vector<Block> blocks;
  bool inside = false;
  size_t number = 0;
  for (std::string line; std::getline(document, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside;
      if (!inside) continue;
      Block block;
      block.line = number;
      std::istringstream first(line.substr(3));
      first >> block.language >> block.how >> std::ws;
      std::getline(first, block.words);
      blocks.push_back(block);
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

std::vector<std::filesystem::path> documents() {
  return source_files({"README.md", "HACKING.md", "docs"}, {".md"});
}

// A folder that is removed with everything in it.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "tarflow-docs-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    folder_ = name;
  }
  ~Scratch() { std::filesystem::remove_all(folder_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

// As after a clone and a build: sweeps/, build/bin/ and ./run_sweep, which builds nothing here.
void furnish(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder / "sweeps");
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "sweeps")) {
    std::filesystem::create_symlink(entry.path(), folder / "sweeps" / entry.path().filename());
  }
  std::filesystem::create_directory(folder / "build");
  std::filesystem::create_directory_symlink(kPrograms, folder / "build" / "bin");
  write(folder / "run_sweep",
        "#!/bin/sh\nexport TARFLOW_CALL_RUN_SWEEP=./run_sweep "
        "TARFLOW_CALL_ANALYZE=build/bin/analyze\n"
        "exec '" +
            (kPrograms / "run_sweep").string() + "' \"$@\" $RUN_SWEEP_WORDS\n");
  std::filesystem::permissions(folder / "run_sweep", std::filesystem::perms::owner_all);
}

struct Outcome {
  int status = 0;
  std::string output;
};

Outcome run_bash(const std::filesystem::path& folder, const std::string& text) {
  write(folder / "block.sh", text);
  const std::string log = (folder / "block.log").string();
  const std::string command =
      "cd '" + folder.string() + "' && bash -euo pipefail block.sh >'" + log + "' 2>&1 </dev/null";
  const int status = std::system(command.c_str());
  std::ostringstream output;
  output << std::ifstream(log).rdbuf();
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output.str()};
}

Outcome run_block(const std::filesystem::path& folder, const Block& block) {
  if (block.language == "yaml") {
    write(folder / "sweeps" / "block.yaml", block.text);
    const std::string words = block.words.empty() ? "--dry-run" : block.words;
    return run_bash(folder, "./run_sweep sweeps/block.yaml " + words + "\n");
  }
  return run_bash(folder, "export RUN_SWEEP_WORDS='" + block.words + "'\n" + block.text);
}

// What of a printed line is the same on every machine: its words.
std::string words_of(std::string line) {
  static const std::regex varying(
      R"(\b[0-9a-f]{16,64}\b|, (sampling at )?[0-9.]+ images/s|\b(AMD|Intel)\b[^,:]*[,:])"
      R"(|file://\S+|ᵃ|—)");
  line = std::regex_replace(line, varying, " ");
  std::string words;
  std::istringstream stream(line);
  for (std::string word; stream >> word;) {
    if (word.find_first_of("0123456789") != std::string::npos && !word.starts_with("[")) continue;
    if (word.find("─") != std::string::npos) continue;
    static const std::set<std::string> units = {"s",  "s,",  "s),",   "kB",    "kB,",
                                                "MB", "MB,", "bytes", "bytes,"};
    if (!units.contains(word)) words += word + " ";
  }
  return words;
}

// The lines of `shown` that are not among `printed`. Where a paragraph is broken into lines depends
// on the length of the CPU's name, so that a line may also stand across two.
std::vector<std::string> invented(const std::string& shown, const std::string& printed) {
  std::set<std::string> known{""};
  std::string all = " ";
  std::istringstream real(printed), claimed(shown);
  for (std::string line; std::getline(real, line);) {
    const std::string words = words_of(line);
    known.insert(words);
    all += words;
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(claimed, line);) {
    // What a busy machine adds.
    const bool busy = line.find("indicative") != std::string::npos ||
                      line.find("measure again: ") != std::string::npos;
    const bool varies = busy || line == "...";
    const std::string words = words_of(line);
    const bool printed_as_shown = known.contains(words) || all.find(" " + words) != all.npos;
    if (!varies && !printed_as_shown) lines.push_back(line);
  }
  return lines;
}

TEST(Docs, EveryBlockSaysHowItIsTested) {
  for (const auto& document : documents()) {
    std::ifstream stream(kRoot / document);
    for (const Block& block : read_blocks(stream)) {
      const bool reason = block.how == "not-run:" && !block.words.empty();
      const bool yaml = block.language == "yaml" && (block.how == "sweep" || reason);
      const bool bash = block.language == "bash" && (block.how == "run" || reason);
      const bool prose = block.language != "yaml" && block.language != "bash" &&
                         block.language != "sh" && block.language != "console";
      EXPECT_TRUE(yaml || bash || prose)
          << document.string() << ":" << block.line
          << " begin it as ```bash run, ```yaml sweep, or with not-run: and a reason";
    }
  }
}

TEST(Docs, BlocksRun) {
  for (const char* program : {"run_sweep", "run_job", "analyze"}) {
    if (!std::filesystem::exists(kPrograms / program)) {
      GTEST_SKIP() << (kPrograms / program).string() << " is not built";
    }
  }
  for (const auto& document : documents()) {
    const Scratch scratch;
    furnish(scratch.folder());
    std::ifstream stream(kRoot / document);
    Outcome outcome;
    for (const Block& block : read_blocks(stream)) {
      if (block.how == "prints") {
        for (const std::string& line : invented(block.text, outcome.output)) {
          ADD_FAILURE() << document.string() << ":" << block.line
                        << " shows a line that is not printed: " << line << "\n--- printed:\n"
                        << outcome.output;
        }
      }
      if (block.how != "run" && block.how != "sweep") continue;
      outcome = run_block(scratch.folder(), block);
      EXPECT_EQ(outcome.status, 0) << document.string() << ":" << block.line << "\n"
                                   << block.text << "--- printed:\n"
                                   << outcome.output;
    }
  }
}

TEST(Docs, BlocksAreRead) {
  std::istringstream document(
      "text\n```bash run --smoke -x\n./run_sweep a\nls\n```\n```\nplain\n```\n```yaml not-run: "
      "needs Slurm\n```\n");
  const std::vector<Block> blocks = read_blocks(document);
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].language, "bash");
  EXPECT_EQ(blocks[0].how, "run");
  EXPECT_EQ(blocks[0].words, "--smoke -x");
  EXPECT_EQ(blocks[0].text, "./run_sweep a\nls\n");
  EXPECT_EQ(blocks[0].line, 2u);
  EXPECT_EQ(blocks[1].language, "");
  EXPECT_EQ(blocks[2].how, "not-run:");
  EXPECT_EQ(blocks[2].words, "needs Slurm");
}

TEST(Docs, AnInventedLineIsSeen) {
  const std::string printed =
      "[1/2] evaluate cfg=0: done in 2.9 s, 18.6 images/s\n  job 386313ee1950675b  x\n";
  EXPECT_TRUE(invented("[1/2] evaluate cfg=0: done in 7.0 s\n", printed).empty());
  EXPECT_TRUE(invented("  job 0123456789abcdef  x\n", printed).empty());
  EXPECT_EQ(invented("[1/2] evaluate cfg=0: failed in 7.0 s\n", printed).size(), 1u);
  const std::string broken = "Intel(R) Xeon(R) CPU, 2 threads. Deviation of the\nfirst images.\n";
  EXPECT_TRUE(invented("AMD EPYC, 8 threads. Deviation of\nthe first images.\n", broken).empty());
  EXPECT_EQ(invented("AMD EPYC, 8 threads. No deviation of the\n", broken).size(), 1u);
}

TEST(Docs, AFailingCommandIsSeen) {
  const Scratch scratch;
  EXPECT_EQ(run_bash(scratch.folder(), "false\ntrue\n").status, 1);
  EXPECT_EQ(run_bash(scratch.folder(), "exit 3\n").status, 3);
  EXPECT_EQ(run_bash(scratch.folder(), "echo here\n").output, "here\n");
}

}  // namespace
}  // namespace tarflow::habits
