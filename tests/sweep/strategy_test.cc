#include <fstream>
#include <regex>

#include "framework/sweep/strategy_name.h"
#include "tests/support/plans.h"
#include "tests/sweep/strategies.h"

namespace tarflow::sweep {
namespace {

using ::testing::HasSubstr;

BlockPlan published(int segments, int iterations, Guess guess = Guess::kZ) {
  return plan_of(segments, iterations, guess, 3.0, published_stop(1e-6));
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
  EXPECT_EQ(strategy.block(0), BlockPlan{});
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
  EXPECT_EQ(*guess_of(strategy.block(7)), Guess::kZ);
  EXPECT_EQ(*guess_of(strategy.block(6)), Guess::kZero);
  EXPECT_EQ(*guess_of(strategy.block(1)), Guess::kZero);
  EXPECT_EQ(*guess_of(strategy.block(0)), Guess::kZ);
  for (const BlockPlan& block : read("{name: [7-8-32-10], guess: zero}").blocks) {
    ASSERT_NE(guess_of(block), nullptr);
    EXPECT_EQ(*guess_of(block), Guess::kZero);
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
  EXPECT_EQ(*guess_of(mixed.block(6)), Guess::kAuto);
  EXPECT_EQ(*guess_of(mixed.block(5)), Guess::kZero);
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
  const BlockPlan four = plan_of(4, 8);
  EXPECT_EQ(strategy.block(6), four);
  EXPECT_EQ(strategy.block(0), four);
  EXPECT_EQ(strategy.block(3), BlockPlan{});
  EXPECT_EQ(strategy.block(1), plan_of(1, 10));
}

TEST(Strategy, StopsHaveANormAndAScope) {
  const auto stop_of_block = [](const std::string& stop) {
    Strategy strategy =
        read("{label: x, blocks: {else: {segments: 4, max_iterations: 8, stop: " + stop + "}}}");
    return *stop_of(strategy.blocks.at(0));
  };
  EXPECT_EQ(stop_of_block("{published: 1e-6}"), published_stop(1e-6));
  EXPECT_EQ(stop_of_block("{max_abs: 0.5}"), (Stop{Norm::kMaxAbs, 0.5}));
  EXPECT_EQ(stop_of_block("{relative_mse: 1e-3, scope: chunk}"),
            (Stop{Norm::kRelativeMse, 1e-3, Scope::kChunk}));
  EXPECT_EQ(stop_of_block("{scope: image, token_rms: 0}"),
            (Stop{Norm::kTokenRms, 0, Scope::kImage}));
}

TEST(Strategy, SegmentsByTheirLength) {
  const Strategy strategy = read(
      "{blocks: {7: {segment_length: 32, max_iterations: 8}, else: {segment_length: 256, "
      "max_iterations: 3, guess: zero}}}");
  EXPECT_EQ(strategy.block(7), (BlockPlan{Segments{{8}, SegmentLength{32}}}));
  EXPECT_EQ(strategy.block(0), (BlockPlan{Segments{{3, Guess::kZero}, SegmentLength{256}}}));
  EXPECT_EQ(strategy.name,
            "block 7: gs of 32 tokens x 8 guess z; blocks 6-0: gs of 256 tokens x 3 guess 0");
}

TEST(Strategy, RivalsHaveNames) {
  for (const char* text : {"SeJD", "sejd", "[SeJD]", "{name: ' SEJD '}"}) {
    const Strategy strategy = read(text);
    EXPECT_EQ(strategy.name, "SeJD") << text;
    EXPECT_EQ(strategy.blocks.at(0), BlockPlan{}) << "block 7 is sequential";
    for (int index = 0; index < 7; ++index)
      EXPECT_EQ(strategy.block(index), plan_of(1, 255, Guess::kZ, 0, Stop{Norm::kMaxAbs, 0.5}));
  }
  for (const auto& [text, length] :
       {std::pair("STARFlow", 32), std::pair("starflow-32", 32), std::pair("[STARFlow-16]", 16),
        std::pair("STARFlow\xE2\x80\x93"
                  "7",
                  7)}) {
    const Strategy strategy = read(text);
    EXPECT_EQ(strategy.name, length == 32 ? "STARFlow" : fmt::format("STARFlow-{}", length));
    for (const BlockPlan& plan : strategy.blocks) {
      EXPECT_EQ(plan, (BlockPlan{Segments{{32, Guess::kZ, 0, Stop{Norm::kRelativeMse, 1e-3}},
                                          SegmentLength{length}}}));
    }
  }
  EXPECT_EQ(
      read("STARFlow", {8, 16}).blocks.at(0),
      (BlockPlan{Segments{{32, Guess::kZ, 0, Stop{Norm::kRelativeMse, 1e-3}}, SegmentLength{16}}}))
      << "a model of fewer tokens has one segment";
  EXPECT_EQ(*guess_of(read("{name: SeJD, guess: zero}").blocks.at(3)), Guess::kZero);
  EXPECT_EQ(read("{name: STARFlow, label: rival}").name, "rival");
  for (const char* text : {"SeJD", "STARFlow-16"}) {
    const Strategy strategy = read(text);
    EXPECT_EQ(strategy_from_json(to_json(strategy)), strategy);
  }
}

TEST(Strategy, StopsAndLengthsThatMeanNothingAreRefused) {
  const auto block = [](const std::string& rest) {
    return problem_of("{label: x, blocks: {else: {max_iterations: 8, " + rest + "}}}");
  };
  EXPECT_THAT(block("segments: 4, stop: {}"), HasSubstr("`stop` is an empty map"));
  EXPECT_THAT(block("segments: 4, stop: {scope: image}"), HasSubstr("`stop` has no norm"));
  EXPECT_THAT(block("segments: 4, stop: {max_abs: 1, published: 1}"), HasSubstr("two norms"));
  EXPECT_THAT(block("segments: 4, stop: {max_abs: -1}"), HasSubstr("below its minimum"));
  EXPECT_THAT(block("segments: 4, stop: {max_abs: .inf}"), HasSubstr("max_abs"));
  EXPECT_THAT(block("segments: 4, stop: {max_abs: x}"), HasSubstr("max_abs"));
  EXPECT_THAT(block("segments: 4, stop: {max_bas: 1}"), HasSubstr("did you mean `max_abs`"));
  EXPECT_THAT(block("segments: 4, stop: {max_abs: 1, scope: batch}"),
              HasSubstr("expected chunk or image"));
  EXPECT_THAT(block("segments: 4, stop: {max_abs: 1, scope: [image]}"),
              HasSubstr("expected chunk or image"));
  EXPECT_THAT(block("segments: 4, segment_length: 4"), HasSubstr("beside `segments`"));
  EXPECT_THAT(block("segment_length: 0"), HasSubstr("below its minimum"));
  EXPECT_THAT(block("segment_length: 257"), HasSubstr("the model has 256 tokens"));
  EXPECT_THAT(block("segment_length: 1.5"), HasSubstr("segment_length"));
  EXPECT_THAT(problem_of("{label: SeJD, blocks: {else: sequential}}"),
              HasSubstr("the name of another strategy"));
  EXPECT_THAT(problem_of("{label: STARFlow-8, name: STARFlow}"),
              HasSubstr("the name of another strategy"));
  EXPECT_THAT(problem_of("{label: starflow-0, name: STARFlow}"),
              HasSubstr("the name of another strategy"));
  EXPECT_EQ(problem_of("{label: starflow-32, name: STARFlow}"), "");
  EXPECT_THAT(problem_of("STARFlow-"), HasSubstr("not a number of tokens"));
  EXPECT_THAT(problem_of("STARFlow-0"), HasSubstr("not a number of tokens"));
  EXPECT_THAT(problem_of("STARFlow-16-2"), HasSubstr("not a number of tokens"));
  EXPECT_THAT(problem_of("SeJD-2"), HasSubstr("is not a strategy"));
}

TEST(Strategy, JacobiInEveryBlockHasAName) {
  const std::string blocks =
      "blocks: {else: {segments: 1, max_iterations: 16, guess: z, clamp: 3, stop: {published: "
      "1.0e-6}}}";
  for (const std::string& text :
       {std::string("Jacobi-16"), std::string("[JACOBI - 16]"), "{" + blocks + "}",
        "{label: Jacobi-16, " + blocks + "}", std::string("{name: Jacobi-16, guess: z}")}) {
    EXPECT_EQ(read(text).blocks, std::vector<BlockPlan>(8, published(1, 16))) << text;
    EXPECT_EQ(read(text).name, "Jacobi-16") << text;
  }
  EXPECT_EQ(read("{name: Jacobi-4, guess: zero}").block(3), published(1, 4, Guess::kZero));
  EXPECT_THAT(problem_of("{label: Jacobi-15, " + blocks + "}"),
              HasSubstr("the name of another strategy"));
  EXPECT_EQ(read("{label: Jacobi of mine, " + blocks + "}").name, "Jacobi of mine");
  for (const char* text : {"Jacobi-0", "Jacobi-x", "Jacobi-", "Jacobi-4-4", "Jacobi--4"})
    EXPECT_THAT(problem_of(text), HasSubstr("is not a number of iterations")) << text;
  EXPECT_THAT(problem_of("Jacobi"), HasSubstr("or Jacobi-16, or For"));
}

TEST(Strategy, WithoutALabelTheNameSaysWhatItDoes) {
  EXPECT_EQ(read("{blocks: {else: {segments: 1, max_iterations: 10}}}").name,
            "blocks 7-0: jacobi 10 guess z");
  EXPECT_EQ(read("{num_GS_list: [1,1,1,1,1,1,1,1], max_jacobi_list: [9,9,9,9,9,9,9,9]}").name,
            "Jacobi-9");
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
  EXPECT_EQ(report.errors[0].what, "`nonsense` is not a strategy: the name is not known");
}

TEST(PublishedName, RoundTrip) {
  for (const char* text :
       {"For", "[7-8-32-10]", "[0/6-8-32-20]", "[0/7-256/8-1/13-6]", "[1/2-4-3/5-7]"}) {
    EXPECT_EQ(parse_published_name(text).str(), text);
  }
}

}  // namespace
}  // namespace tarflow::sweep
