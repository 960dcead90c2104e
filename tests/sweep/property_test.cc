// What holds for every sweep.
#include "tests/sweep/support.h"

#ifdef TARFLOW_HAVE_RAPIDCHECK
#include <rapidcheck.h>

#include <algorithm>
#include <set>

#include "framework/core/strategy.h"
#include "framework/sweep/strategy_name.h"
#include "framework/sweep/strategy_parse.h"

namespace tarflow::sweep {
namespace {

Sweep load_text(const std::string& text) {
  // load_sweep reads a file; one for this process is enough.
  const auto file =
      std::filesystem::temp_directory_path() / fmt::format("tarflow_property_{}.yaml", ::getpid());
  std::ofstream(file, std::ios::binary) << text;
  Sweep sweep = load_sweep(file, test_schemas(), {.allow_missing = true});
  std::filesystem::remove(file);
  return sweep;
}

// `name: [values]` for up to four numeric fields in any order, with distinct values.
struct Axes {
  std::vector<std::pair<std::string, std::vector<int>>> axes;
  size_t points() const {
    size_t count = 1;
    for (const auto& [name, values] : axes) count *= values.size();
    return count;
  }
  std::string yaml() const {
    std::string text;
    for (const auto& [name, values] : axes) {
      text += fmt::format("        {}: [", name);
      for (size_t i = 0; i < values.size(); ++i)
        text += fmt::format("{}{}", i ? ", " : "", values[i]);
      text += "]\n";
    }
    return text;
  }
};

Axes any_axes() {
  Axes result;
  std::vector<std::string> names = {"cfg", "seed", "batch", "num_images"};
  const int count = *rc::gen::inRange(1, 5);
  for (int i = 0; i < count; ++i) {
    const size_t pick = static_cast<size_t>(*rc::gen::inRange(0, static_cast<int>(names.size())));
    const auto values = *rc::gen::unique<std::vector<int>>(
        static_cast<size_t>(*rc::gen::inRange(1, 5)), rc::gen::inRange(1, 1000));
    result.axes.emplace_back(names[pick], values);
    names.erase(names.begin() + static_cast<std::ptrdiff_t>(pick));
  }
  return result;
}

std::set<std::string> ids(const Sweep& sweep) {
  std::set<std::string> result;
  for (const Point& point : sweep.points) result.insert(point.id);
  return result;
}

TEST(SweepProperty, AGridHasTheProductOfItsAxesAndNoIdTwice) {
  EXPECT_TRUE(rc::check([] {
    const Axes axes = any_axes();
    const Sweep sweep = load_text(evaluate_with("      grid:\n" + axes.yaml()));
    RC_ASSERT(sweep.points.size() == axes.points());
    RC_ASSERT(ids(sweep).size() == axes.points());
    RC_ASSERT(sweep.warnings.empty());
  }));
}

TEST(SweepProperty, TheOrderOfKeysAndValuesChangesNoId) {
  EXPECT_TRUE(rc::check([] {
    Axes axes = any_axes();
    const std::set<std::string> before =
        ids(load_text(evaluate_with("      grid:\n" + axes.yaml())));
    const int turn = *rc::gen::inRange(0, 4);
    std::rotate(axes.axes.begin(), axes.axes.begin() + turn % static_cast<int>(axes.axes.size()),
                axes.axes.end());
    for (auto& [name, values] : axes.axes) std::reverse(values.begin(), values.end());
    RC_ASSERT(ids(load_text(evaluate_with("      grid:\n" + axes.yaml()))) == before);
  }));
}

PublishedName any_name(int blocks, int tokens) {
  PublishedName name;
  const auto stack = *rc::gen::unique<std::vector<int>>(
      static_cast<size_t>(*rc::gen::inRange(1, 4)), rc::gen::inRange(0, blocks));
  for (const int block : stack) {
    name.groups.push_back({block, *rc::gen::inRange(1, tokens + 1), *rc::gen::inRange(1, 50)});
  }
  std::sort(name.groups.begin(), name.groups.end(),
            [](const auto& a, const auto& b) { return a.block < b.block; });
  name.others = *rc::gen::inRange(1, 50);
  return name;
}

// The name with every value written out, in the order of `groups`, with spaces at random.
std::string any_spelling(const PublishedName& name) {
  std::vector<PublishedName::Group> groups = name.groups;
  if (*rc::gen::arbitrary<bool>()) std::reverse(groups.begin(), groups.end());
  std::string parts[3];
  for (const auto& group : groups) {
    const int values[3] = {group.block, group.segments, group.iterations};
    for (int i = 0; i < 3; ++i)
      parts[i] += fmt::format("{}{}", parts[i].empty() ? "" : "/", values[i]);
  }
  std::string text = fmt::format("{}-{}-{}-{}", parts[0], parts[1], parts[2], name.others);
  std::string spaced;
  for (const char c : text)
    spaced +=
        *rc::gen::inRange(0, 8) == 0 && !spaced.empty() ? std::string(" ") + c : std::string(1, c);
  if (*rc::gen::arbitrary<bool>()) spaced = "[" + spaced + "]";
  return *rc::gen::arbitrary<bool>() ? "'" + spaced + "'" : spaced;
}

TEST(StrategyProperty, AnySpellingOfANameHasTheSameBlocks) {
  EXPECT_TRUE(rc::check([] {
    const FlowSize flow{8, 64};
    const PublishedName name = any_name(flow.blocks, flow.tokens);
    const Document document = parse_yaml(any_spelling(name), "p.yaml");
    const Sources sources(document);
    Report report(sources);
    const auto read = read_strategy(*document.root, flow, report);
    RC_ASSERT(report.errors.empty());
    RC_ASSERT(*read == published_strategy(name, flow));
    RC_ASSERT(parse_published_name(read->name) == name);
  }));
}

TEST(StrategyProperty, TheThreeListsOfAStrategyAreTheStrategy) {
  EXPECT_TRUE(rc::check([] {
    const FlowSize flow{8, 64};
    Strategy strategy = published_strategy(any_name(flow.blocks, flow.tokens), flow);
    std::string segments, iterations, guesses;
    for (BlockPlan& plan : strategy.blocks) {
      Guess* const guess = guess_of(plan);
      if (guess && *rc::gen::arbitrary<bool>()) *guess = Guess::kZero;
      const Json block = to_json(Strategy{"", {plan}})["blocks"][0];
      segments += fmt::format("{},", block["segments"].get<int>());
      iterations += fmt::format("{},", block.value("max_iterations", 0));
      guesses += fmt::format("{},", guess && *guess == Guess::kZero ? 1 : 0);
    }
    const Document document =
        parse_yaml(fmt::format("{{num_GS_list: [{}], max_jacobi_list: [{}], guess_list: [{}]}}",
                               segments, iterations, guesses),
                   "p.yaml");
    const Sources sources(document);
    Report report(sources);
    const auto read = read_strategy(*document.root, flow, report);
    RC_ASSERT(report.errors.empty());
    RC_ASSERT(*read == strategy);
    RC_ASSERT(strategy_from_json(to_json(*read)) == strategy);
  }));
}

}  // namespace
}  // namespace tarflow::sweep

#else

TEST(SweepProperty, NeedRapidCheck) { GTEST_SKIP() << "RapidCheck is not installed"; }

#endif
