#include <fmt/format.h>
#include <algorithm>
#include <set>
#include <vector>

#include "framework/core/error.h"
#include "framework/sweep/sweep.h"
#include "framework/sweep/yaml.h"
#include "tests/fuzz/targets.h"

namespace tarflow::fuzz {
namespace {
namespace fs = std::filesystem;

// What run_job --describe wrote; beside the program where a bundle of fuzzers has been copied.
const ExperimentSchemas& schemas() {
  static const ExperimentSchemas read = [] {
    const fs::path beside = fs::read_symlink("/proc/self/exe").parent_path() / "experiments.json";
    return read_experiment_schemas(
        fs::exists(beside) ? beside : fs::path(TARFLOW_SOURCE_DIR "/tests/fuzz/experiments.json"));
  }();
  return read;
}

struct Input {
  sweep::LoadOptions options;
  std::vector<std::pair<std::string, std::string>> files;  // name, content; the sweep comes first
};

bool is_name(std::string_view name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || c == '.' || c == '_'; };
  return !name.empty() && name.size() < 32 && name.front() != '.' &&
         std::ranges::all_of(name, allowed) && name != "pictures" && name != "net.pt";
}

Input split(std::string_view bytes) {
  Input input{.options = {}, .files = {{"fuzz.yaml", ""}}};
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
    const std::string_view line = bytes.substr(0, end);
    const std::string_view text = line.substr(0, line.size() - (line.back() == '\n'));
    if (text.starts_with("#set ") && input.options.set.size() < 8) {
      input.options.set.emplace_back(text.substr(5));
    } else if (text.starts_with("#only ") && input.options.only.size() < 8) {
      input.options.only.emplace_back(text.substr(6));
    } else if (text.starts_with("#file ") && is_name(text.substr(6)) && input.files.size() < 4) {
      input.files.emplace_back(text.substr(6), "");
    }
    // The lines stay where they are, so that places in messages fit the seed.
    input.files.back().second += line;
    bytes.remove_prefix(end);
  }
  return input;
}

// Every value lies in the text.
void check_tree(const sweep::Node& node, int lines, int depth) {
  must(depth <= sweep::kMaxYamlDepth, "the tree is deeper than its limit");
  must(node.mark.line >= 0 && node.mark.line <= lines, "a mark lies behind the text");
  must(node.mark.column >= 0, "a mark has no column");
  for (const sweep::NodePtr& item : node.items) check_tree(*item, lines, depth + 1);
  for (const sweep::Entry& entry : node.entries) check_tree(*entry.value, lines, depth + 1);
}

void check(const Problem& problem, const fs::path& folder) {
  must(!problem.what.empty(), "a problem says nothing");
  must(problem.place.line >= 0 && problem.place.column >= 0, "a place before the text");
  must(problem.place.line == 0 || !problem.place.file.empty(), "a line without its file");
  must(!problem.str().empty(), "a problem prints nothing");
  const bool of_an_option = problem.place.file.starts_with("--");
  must(problem.place.line == 0 || of_an_option || problem.place.file.starts_with(folder.string()),
       "a problem in a file that is none of the sweep's: " + problem.place.file);
}

void parse(std::string_view bytes) {
  try {
    const sweep::Document document = sweep::parse_yaml(std::string(bytes), "fuzz.yaml");
    const auto lines = static_cast<int>(document.line_starts.size());
    if (document.root) check_tree(*document.root, lines + 1, 0);
    for (const Problem& problem : document.problems) check(problem, "fuzz.yaml");
  } catch (const Error& error) {
    for (const Problem& problem : error.problems()) check(problem, "fuzz.yaml");
  }
}

void load(std::string_view bytes) {
  static const ScratchFolder folder;
  static const fs::path images = folder.path() / "pictures";
  if (fs::create_directory(images)) {
    folder.put("pictures/one.png", "");
    folder.put("net.pt", "\x80\2");
  }
  Input input = split(bytes);
  input.options.allow_missing = true;
  input.options.preset_folders = {folder.path()};
  input.options.facts.reference = [](const fs::path&) {
    return sweep::ReferenceFacts{.features = 192, .image_size = 32, .extractor = "abc"};
  };
  input.options.facts.features = [](const fs::path&, int64_t) { return 192; };
  input.options.facts.sha256 = [](const fs::path&) { return std::string("abc"); };
  for (const auto& [name, content] : input.files) folder.put(name, content);
  try {
    const sweep::Sweep sweep =
        sweep::load_sweep(folder.path() / "fuzz.yaml", schemas(), input.options);
    std::set<std::string> ids;
    for (const sweep::Point& point : sweep.points) {
      must(ids.insert(point.id).second, "two points have one id");
      must(point.place && point.run, "a point lacks its place or its settings of running");
    }
    for (const Problem& problem : sweep.warnings) check(problem, folder.path());
    for (const Problem& problem : sweep.missing) check(problem, folder.path());
  } catch (const Error& error) {
    must(!error.problems().empty(), "an error without a problem");
    for (const Problem& problem : error.problems()) check(problem, folder.path());
  }
  for (const auto& [name, content] : input.files) fs::remove(folder.path() / name);
}

}  // namespace

void yaml(std::string_view bytes) {
  parse(bytes);
  load(bytes);
}

}  // namespace tarflow::fuzz
