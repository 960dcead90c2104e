#include <fstream>
#include <regex>

#include "framework/core/strategy.h"
#include "framework/sweep/strategy_name.h"
#include "framework/sweep/strategy_parse.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::IsEmpty;

constexpr FlowSize kFlow{8, 256};

// The strategy that `yaml` states, which must be without errors.
Strategy read(const std::string& yaml, FlowSize flow = kFlow) {
  const Document document = parse_yaml(yaml, "s.yaml");
  const Sources sources(document);
  Report report(sources);
  const auto strategy = read_strategy(*document.root, flow, report);
  EXPECT_THAT(report.errors, IsEmpty()) << yaml << "\n"
                                        << (report.errors.empty() ? "" : report.errors[0].str());
  return strategy.value_or(Strategy{});
}

BlockStrategy published(int segments, int iterations, Guess guess = Guess::kZ) {
  return {segments, iterations, guess, 3.0, StopRule::kPublished, 1e-6};
}

TEST(Strategy, NamesCountBlocksAsTheCheckpointDoes) {
  const Strategy strategy = read("[7-8-32-10]");
  EXPECT_EQ(strategy.name, "[7-8-32-10]");
  ASSERT_EQ(strategy.blocks.size(), 8U);
  EXPECT_EQ(strategy.block(7), published(8, 32));
  EXPECT_EQ(strategy.blocks[0], published(8, 32));  // sampled first
  for (int index = 0; index < 7; ++index) EXPECT_EQ(strategy.block(index), published(1, 10));
}

TEST(Strategy, OneValueServesAllToughBlocks) {
  const Strategy strategy = read("[0/6-8-32-20]");
  EXPECT_EQ(strategy.block(0), published(8, 32));
  EXPECT_EQ(strategy.block(6), published(8, 32));
  EXPECT_EQ(strategy.block(7), published(1, 20));
}

TEST(Strategy, AsManySegmentsAsTokensAreSequential) {
  const Strategy strategy = read("[0/7-256/8-1/13-6]");
  EXPECT_EQ(strategy.block(0), BlockStrategy{});
  EXPECT_EQ(strategy.block(7), published(8, 13));
  EXPECT_EQ(strategy.block(3), published(1, 6));
  EXPECT_EQ(read("[0/7-0/8-1/13-6]"), strategy);
  EXPECT_FALSE(read("[0/7-256/8-1/13-6]", {8, 1024}).block(0).sequential());
}

TEST(Strategy, ForIsSequential) {
  for (const char* text :
       {"For", "for", "FOR", "\"For\"", "[For]", "' for '", "{name: For}", "\"[For]\""}) {
    EXPECT_EQ(read(text).name, "For") << text;
    EXPECT_TRUE(read(text).sequential()) << text;
  }
  EXPECT_EQ(read("{num_GS_list: [0, 0, 256, 0, 0, 0, 0, 0]}").name, "For");
  EXPECT_EQ(read("{blocks: {else: sequential}}").name, "For");
  EXPECT_EQ(
      read("{blocks: {else: {segments: 0}, 3: {segments: 256}, 4: {segments: sequential}}}").name,
      "For");
}

TEST(Strategy, EverySpellingOfAName) {
  for (const char* text :
       {"\"[7-8-32-10]\"", "[7-8-32-10]", "7-8-32-10", "'7 - 8 - 32 - 10'", "[ 7-8-32-10 ]",
        "['[7-8-32-10]']", "[\"7-8-32-10\"]", "\"[7 -8- 32-10 ]\"", "7–8–32–10", "'[7−8−32−10]'",
        "{name: [7-8-32-10]}", "{name: \"7-8-32-10\", guess: z}", "{name: 7-8-32-10, guess: 0}",
        "[007-8-32-10]", "!!str 7-8-32-10", "- 7-8-32-10"}) {
    EXPECT_EQ(read(text).name, "[7-8-32-10]") << text;
    EXPECT_EQ(read(text), read("[7-8-32-10]")) << text;
  }
  EXPECT_EQ(read("[7/0-8/256-13/1-6]").name, "[0/7-256/8-1/13-6]");
  EXPECT_EQ(read("[0/6-8/8-32/32-20]").name, "[0/6-8-32-20]");
  EXPECT_EQ(read("[6/0-8-32-20]").name, "[0/6-8-32-20]");
}

TEST(Strategy, GuessesAreInSamplingOrder) {
  const Strategy strategy = read("{name: [7-8-32-10], guess_list: [0, 1, 0, 0, 0, 0, zero, z]}");
  EXPECT_EQ(strategy.name, "[7-8-32-10]");
  EXPECT_EQ(strategy.block(7).guess, Guess::kZ);
  EXPECT_EQ(strategy.block(6).guess, Guess::kZero);
  EXPECT_EQ(strategy.block(1).guess, Guess::kZero);
  EXPECT_EQ(strategy.block(0).guess, Guess::kZ);
  for (const BlockStrategy& block : read("{name: [7-8-32-10], guess: zero}").blocks) {
    EXPECT_EQ(block.guess, Guess::kZero);
  }
  // A sequential block has no guess, whatever the list says.
  EXPECT_EQ(read("{name: [0/7-256/8-1/13-6], guess_list: [0,0,0,0,0,0,0,1]}"),
            read("[0/7-256/8-1/13-6]"));
}

TEST(Strategy, AutoLeavesGuessesOpenWhereverOneIsStated) {
  for (const char* text :
       {"{name: [7-8-32-10], guess: auto}", "{name: [7-8-32-10], guess_list: auto}",
        "{name: [7-8-32-10], guess_list: [auto, auto, auto, auto, auto, auto, auto, auto]}",
        "{num_GS_list: [8,1,1,1,1,1,1,1], max_jacobi_list: [32,10,10,10,10,10,10,10], guess: auto}",
        "{blocks: {7: {segments: 8, max_iterations: 32, clamp: 3, stop: {published: 1e-6}, guess: "
        "auto}, else: {segments: 1, max_iterations: 10, clamp: 3, stop: {published: 1e-6}, guess: "
        "auto}}}"}) {
    const Strategy strategy = read(text);
    EXPECT_EQ(strategy.name, "[7-8-32-10]") << text;
    EXPECT_TRUE(strategy.has_open_guess()) << text;
    EXPECT_EQ(strategy.block(7), published(8, 32, Guess::kAuto)) << text;
    EXPECT_EQ(strategy.block(0), published(1, 10, Guess::kAuto)) << text;
  }
  const Strategy mixed = read("{name: [7-8-32-10], guess_list: [0, auto, 1, 0, 0, 0, 0, 0]}");
  EXPECT_EQ(mixed.block(6).guess, Guess::kAuto);
  EXPECT_EQ(mixed.block(5).guess, Guess::kZero);
  EXPECT_FALSE(mixed == read("[7-8-32-10]")) << "it is part of what a strategy is";
  // A sequential block has none to leave open.
  EXPECT_FALSE(
      read("{name: [7-256-1-9], guess_list: [auto, 0, 0, 0, 0, 0, 0, 0]}").has_open_guess());
}

TEST(Strategy, LabelsAreNamesAndNotIdentity) {
  const Strategy strategy = read("{name: [7-8-32-10], label: mine}");
  EXPECT_EQ(strategy.name, "mine");
  EXPECT_EQ(strategy, read("[7-8-32-10]"));
  EXPECT_EQ(read("{blocks: {else: sequential}, label: For}").name, "For");
}

TEST(Strategy, BlockMapsStateClampAndStopThemselves) {
  const Strategy strategy = read(
      "label: mixed\n"
      "blocks:\n"
      "  7: {segments: 8, max_iterations: 32, guess: zero, clamp: 3, stop: {published: 1.0e-6}}\n"
      "  0/6: {segments: 4, max_iterations: 8, clamp: none, stop: none}\n"
      "  3: sequential\n"
      "  else: {segments: 1, max_iterations: 10}\n");
  EXPECT_EQ(strategy.name, "mixed");
  EXPECT_EQ(strategy.block(7), published(8, 32, Guess::kZero));
  const BlockStrategy four{4, 8, Guess::kZ, 0, StopRule::kNone, 0};
  EXPECT_EQ(strategy.block(6), four);
  EXPECT_EQ(strategy.block(0), four);
  EXPECT_EQ(strategy.block(3), BlockStrategy{});
  EXPECT_EQ(strategy.block(1), (BlockStrategy{1, 10, Guess::kZ, 0, StopRule::kNone, 0}));
}

TEST(Strategy, WithoutALabelTheNameSaysWhatItDoes) {
  EXPECT_EQ(read("{blocks: {else: {segments: 1, max_iterations: 10}}}").name,
            "blocks 7-0: jacobi 10 guess z");
  EXPECT_EQ(read("{num_GS_list: [1,1,1,1,1,1,1,1], max_jacobi_list: [9,9,9,9,9,9,9,9]}").name,
            "blocks 7-0: jacobi 9 guess z clamp 3 stop 1e-06");
  // The published meaning spelled out is the published strategy.
  EXPECT_EQ(
      read("{blocks: {7: {segments: 8, max_iterations: 32, clamp: 3, stop: {published: 1e-6}}, "
           "else: {segments: 1, max_iterations: 10, clamp: 3, stop: {published: 1e-6}}}}")
          .name,
      "[7-8-32-10]");
}

struct Published {
  const char* name;
  int tokens;
  const char *segments, *iterations, *guesses;
};
// method.md section 2 and the README of GS-Jacobi sampling.
constexpr Published kPublished[] = {
    {"[7-8-32-10]", 1024, "8,1,1,1,1,1,1,1", "32,10,10,10,10,10,10,10", "0,0,0,0,0,1,1,0"},
    {"[6-8-32-10]", 1024, "1,8,1,1,1,1,1,1", "10,32,10,10,10,10,10,10", "0,1,0,0,0,0,1,0"},
    {"[0/6-8-32-20]", 1024, "1,8,1,1,1,1,1,8", "20,32,20,20,20,20,20,32", "0,1,0,0,1,0,1,1"},
    {"[0/7-256/8-1/13-6]", 256, "8,1,1,1,1,1,1,0", "13,6,6,6,6,6,6,1", "1,0,0,0,0,1,1,1"}};

std::string lists(const std::string& segments, const std::string& iterations,
                  const std::string& guesses) {
  return fmt::format("{{num_GS_list: [{}], max_jacobi_list: [{}], guess_list: [{}]}}", segments,
                     iterations, guesses);
}

TEST(Strategy, PublishedNamesEqualTheirPublishedLists) {
  for (const Published& p : kPublished) {
    const FlowSize flow{8, p.tokens};
    const Strategy by_lists = read(lists(p.segments, p.iterations, p.guesses), flow);
    EXPECT_EQ(by_lists,
              read(fmt::format("{{name: '{}', guess_list: [{}]}}", p.name, p.guesses), flow))
        << p.name;
    EXPECT_EQ(by_lists.name, p.name);
  }
}

TEST(Strategy, PublishedReadmeAgrees) {
  const std::string path = TARFLOW_SOURCE_DIR "/../shared/seeds/gs_jacobi_readme.txt";
  std::ifstream in(path);
  if (!in) GTEST_SKIP() << "the published README is not there: shared/seeds/gs_jacobi_readme.txt";
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::regex command(
      R"(--img_size=(\d+) --patch_size=(\d+)[^']*--sample_name='\w+?(\[[^']*\])'\\\s*)"
      R"(--num_GS_list=\[([0-9,]*)\]\\\s*--max_jacobi_list=\[([0-9,]*)\]\\\s*--guess_list=\[([0-9,]*)\])");
  size_t found = 0;
  for (std::sregex_iterator match(text.begin(), text.end(), command), end; match != end;
       ++match, ++found) {
    const int side = std::stoi((*match)[1]) / std::stoi((*match)[2]);
    const FlowSize flow{8, side * side};
    const Strategy by_lists = read(lists((*match)[4], (*match)[5], (*match)[6]), flow);
    const Strategy by_name =
        read(fmt::format("{{name: '{}', guess_list: [{}]}}", (*match)[3].str(), (*match)[6].str()),
             flow);
    EXPECT_EQ(by_lists, by_name) << (*match)[3];
    EXPECT_EQ(by_lists.name, (*match)[3]);
  }
  EXPECT_EQ(found, 4U);
}

TEST(Strategy, WithoutAModelOnlyTheFormIsChecked) {
  const Document document = parse_yaml(
      "[[7-8-32-10], {name: 99-8-32-10}, nonsense, {blocks: {99: sequential}}]", "s.yaml");
  const Sources sources(document);
  Report report(sources);
  for (const NodePtr& node : document.root->items)
    EXPECT_FALSE(read_strategy(*node, std::nullopt, report));
  ASSERT_EQ(report.errors.size(), 1U);
  EXPECT_EQ(report.errors[0].what, "`nonsense` is not a strategy: it is no known name");
}

TEST(PublishedName, RoundTrip) {
  for (const char* text :
       {"For", "[7-8-32-10]", "[0/6-8-32-20]", "[0/7-256/8-1/13-6]", "[1/2-4-3/5-7]"}) {
    EXPECT_EQ(parse_published_name(text).str(), text);
  }
}

}  // namespace
}  // namespace tarflow::sweep
