#include "framework/sweep/yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tarflow::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Document parse(const std::string& text) { return parse_yaml(text, "f.yaml"); }

// "line:column what" of the error that `text` gives.
std::string failure(const std::string& text, std::string* repair = nullptr) {
  try {
    parse(text);
  } catch (const Error& error) {
    const Problem& problem = error.problems().at(0);
    if (repair) *repair = problem.repair;
    return fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what);
  }
  return "";
}

// One line: maps as {k:v}, lists as [..], quoted scalars in quotes, null as ~.
std::string str(const Node& node) {
  std::vector<std::string> parts;
  switch (node.kind) {
    case NodeKind::kNull:
      return "~";
    case NodeKind::kScalar:
      return node.quoted ? fmt::format("\"{}\"", node.text) : node.text;
    case NodeKind::kList:
      for (const NodePtr& item : node.items) parts.push_back(str(*item));
      return fmt::format("[{}]", fmt::join(parts, ","));
    case NodeKind::kMap:
      for (const Entry& entry : node.entries) {
        parts.push_back(fmt::format("{}:{}", entry.key, str(*entry.value)));
      }
      return fmt::format("{{{}}}", fmt::join(parts, ","));
  }
  return "?";
}

TEST(Yaml, ReadsTheTree) {
  EXPECT_EQ(str(*parse("a: 1\nb: [x, 'y', null, ~]\nc: {d: !!str 5, e: }\nf: |\n  g\n").root),
            "{a:1,b:[x,\"y\",~,~],c:{d:\"5\",e:~},f:\"g\n\"}");
}

TEST(Yaml, MarksCountCharactersFromOne) {
  const Document document = parse("ä: {öß: ü, next: 7}\r\nlast:\r\n  - x\r\n");
  const Node& root = *document.root;
  EXPECT_EQ(root.entries[0].mark, (Mark{1, 1}));
  EXPECT_EQ(root.entries[0].value->entries[1].mark, (Mark{1, 12}));
  EXPECT_EQ(root.entries[0].value->entries[1].value->mark, (Mark{1, 18}));
  EXPECT_EQ(root.find("last")->value->items[0]->mark, (Mark{3, 5}));
  EXPECT_EQ(document.problem({3, 5}, "").source_line, "  - x");
  EXPECT_EQ(document.problem({1, 1}, "").source_line, "ä: {öß: ü, next: 7}");
}

TEST(Yaml, NothingIsAtItsKeyWhenTheNextValueIsLinesAway) {
  const Document document = parse("a:\n\n# far\nb: 1\n");
  EXPECT_EQ(document.root->find("a")->value->mark, (Mark{1, 1}));
}

TEST(Yaml, AByteOrderMarkIsSkipped) {
  EXPECT_EQ(parse("\xEF\xBB\xBF"
                  "a: 1")
                .root->entries[0]
                .mark,
            (Mark{1, 1}));
}

TEST(Yaml, EmptyDocumentsAreNull) {
  for (const char* text : {"", "\n\n", "# comment", "---\n", "---\n...\n"}) {
    EXPECT_EQ(parse(text).root->kind, NodeKind::kNull) << text;
  }
}

TEST(Yaml, DuplicateKeysAreFoundAtAnyDepthAndTheFirstIsKept) {
  const Document document = parse("a: 1\nb: [{c: 1, d: 2, c: 3}]\n\"a\": 2\n");
  ASSERT_EQ(document.problems.size(), 2U);
  EXPECT_EQ(document.problems[0].place, (Place{"f.yaml", 2, 18}));
  EXPECT_EQ(document.problems[0].what, "`c` is stated twice, first on line 2");
  EXPECT_EQ(document.problems[1].place, (Place{"f.yaml", 3, 1}));
  EXPECT_EQ(document.root->find("a")->value->text, "1");
}

TEST(Yaml, MergeKeysAreExpanded) {
  const auto merged = [](const std::string& text) {
    return str(*parse(text).root->find("r")->value);
  };
  EXPECT_EQ(merged("b: &b {x: 1, y: 2}\nr: {<<: *b, y: 3, z: 4}\n"), "{x:1,y:3,z:4}");
  EXPECT_EQ(merged("b: &b {x: 1, y: 2}\nc: &c {y: 5, w: 6}\nr: {z: 4, <<: [*b, *c]}\n"),
            "{z:4,x:1,y:2,w:6}");
  EXPECT_EQ(merged("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nr: {<<: *b}\n"), "{x:1,y:2}");
  EXPECT_EQ(merged("r: {'<<': 1}\n"), "{<<:1}");
  EXPECT_THAT(parse("b: &b {x: 1}\nr: {x: 2, <<: *b}\n").problems, IsEmpty());
}

TEST(Yaml, MergeKeysThatAreNoMaps) {
  EXPECT_EQ(failure("r: {<<: 3}\n"), "1:5 `<<` takes a map or a list of maps");
  EXPECT_EQ(failure("r:\n  <<: [{a: 1}, 3]\n"), "2:3 `<<` takes a map or a list of maps");
  const Document twice = parse("a: &a {x: 1}\nr: {<<: *a, <<: *a}\n");
  ASSERT_EQ(twice.problems.size(), 1U);
  EXPECT_EQ(twice.problems[0].repair, "merge several maps with `<<: [*a, *b]`");
}

TEST(Yaml, AliasesRepeatValues) {
  EXPECT_EQ(str(*parse("a: &x [1, 2]\nb: *x\nc: {k: *x}\n").root), "{a:[1,2],b:[1,2],c:{k:[1,2]}}");
  EXPECT_EQ(failure("a: &x [1, *x]\n"), "1:11 an alias stands inside the value that it repeats");
  EXPECT_EQ(failure("a: &x {b: *x}\n"), "1:11 an alias stands inside the value that it repeats");
  EXPECT_THAT(failure("a: *x\n"), HasSubstr("1:4 not valid YAML: "));
}

TEST(Yaml, AliasBombsAreRefused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += fmt::format(
        "a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i,
        i - 1);
  }
  EXPECT_EQ(failure(bomb),
            "6:55 the file holds more than 1000000 values once aliases are expanded");
  // Merging copies entries, so that it is bounded by their sum.
  std::string wide = "a: &a {";
  for (int i = 0; i < 2000; ++i) wide += fmt::format("k{}: 1,", i);
  wide += "}\nl:\n";
  for (int i = 0; i < 1000; ++i) wide += "  - {<<: *a}\n";
  EXPECT_THAT(failure(wide), HasSubstr("the file holds more than 1000000 values"));
}

TEST(Yaml, DeepNestingIsRefusedAliasesIncluded) {
  EXPECT_EQ(failure(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_EQ(failure(std::string(65, '[') + std::string(65, ']')),
            "1:65 lists and maps are nested deeper than 64 levels");
  const std::string half = std::string(40, '[') + "x" + std::string(40, ']');
  EXPECT_EQ(failure("a: &a " + half + "\nb: " + std::string(40, '[') + "*a" + std::string(40, ']') +
                    "\n"),
            "2:44 lists and maps are nested deeper than 64 levels");
  for (const char* open : {"[", "{", "{a: ", "- ", "? ", "[? ", "{? [", "- - ? "}) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += open;
    EXPECT_NE(failure(text), "") << open;
  }
  std::string indented;
  for (int i = 0; i < 3'000; ++i) indented += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(failure(indented), HasSubstr("nested deeper than 64 levels"));
}

TEST(Yaml, FilesThatAreTooLargeAreRefused) {
  EXPECT_THAT(failure(std::string(kMaxYamlBytes + 1, ' ')), HasSubstr("more than the 16777216"));
}

TEST(Yaml, OneDocumentAFile) {
  EXPECT_EQ(failure("a: 1\n---\nb: 2\n"), "2:1 a second YAML document starts here");
  EXPECT_EQ(failure("a: 1\n...\n"), "");
}

TEST(Yaml, OnlyUtf8TextWithoutControlCharacters) {
  EXPECT_EQ(failure("a: 1\nb: \xFF\n"), "2:4 the file is not UTF-8 text");
  EXPECT_EQ(failure("a: \xC3"), "1:4 the file is not UTF-8 text");
  EXPECT_EQ(failure("a: \xC0\x80"), "1:4 the file is not UTF-8 text");          // overlong
  EXPECT_EQ(failure("a: \xED\xA0\x80"), "1:4 the file is not UTF-8 text");      // surrogate
  EXPECT_EQ(failure("a: \xF4\x90\x80\x80"), "1:4 the file is not UTF-8 text");  // beyond U+10FFFF
  EXPECT_EQ(failure("\xFF\xFE"
                    "a\0:\0"),
            "1:1 the file is not UTF-8 text");  // UTF-16
  EXPECT_EQ(failure(std::string("a: 1\nb: \0", 9)), "2:4 control character 0x00 in the file");
  EXPECT_EQ(failure("a: \x04 b"), "1:4 control character 0x04 in the file");
  EXPECT_EQ(failure("a: \xF0\x9F\x8C\x8A"), "");
}

TEST(Yaml, SyntaxErrorsAreLocatedWithARepair) {
  std::string repair;
  EXPECT_THAT(failure("a: [1, 2\nb: 3\n", &repair), HasSubstr("2:2 not valid YAML: "));
  EXPECT_EQ(repair, "a `[` or `{` is not closed, or a comma is missing");
  EXPECT_THAT(failure("a:\n\tb: 1\n", &repair), HasSubstr("not valid YAML: "));
  EXPECT_EQ(repair, "indent with spaces, not with tabs");
  EXPECT_THAT(failure("a: b: c\n", &repair), HasSubstr("1:5 not valid YAML: "));
  EXPECT_THAT(repair, HasSubstr("quote a value"));
  EXPECT_THAT(failure("a: 1\n  b: 2\n", &repair), HasSubstr("2:4 not valid YAML: "));
  EXPECT_THAT(failure("a:\n    b: 1\n  c: 2\n", &repair), HasSubstr("3:3 not valid YAML: "));
  EXPECT_THAT(repair, HasSubstr("indentation"));
  for (const char* text : {"a: 1\nb: \"open", "a: 1\nb: \"open\n", "a: 1\nb: 'open\n\n  \n",
                           "a: 1\nb: \"open\nc: 2\n"}) {
    EXPECT_THAT(failure(text, &repair), HasSubstr("not valid YAML: ")) << text;
    EXPECT_EQ(repair, "a quote opened on line 2 or below is not closed") << text;
  }
}

TEST(Yaml, KeysAreText) {
  EXPECT_EQ(failure("{[1]: 2}\n"), "1:2 a key must be text");
  EXPECT_EQ(failure("~: 2\n"), "1:1 a key must be text");
  EXPECT_EQ(str(*parse("7: a\n0/6: b\n\"x\": c\n").root), "{7:a,0/6:b,x:c}");
}

TEST(Yaml, UnknownTagsAreRefused) {
  EXPECT_EQ(failure("a: !python/object 1\n"), "1:4 unknown tag `!python/object`");
  EXPECT_EQ(failure("a: !!set {b}\n"), "1:4 unknown tag `tag:yaml.org,2002:set`");
}

TEST(Yaml, LongLinesAreShortenedAndNotShownBeyondTheirBegin) {
  const Document document = parse("a: [" + std::string(1000, 'x') + ", y]\n");
  EXPECT_EQ(document.problem({1, 4}, "").source_line.size(), 204U);
  EXPECT_EQ(document.problem({1, 900}, "").source_line, "");
}

TEST(Yaml, ACharacterThatIsNotSeenIsNamedWithItsPlace) {
  const std::pair<const char*, const char*> texts[] = {
      {"cfg: 1\u00A0\n", "1:7 invisible character U+00A0 (no-break space)"},
      {"cfg:\u00A01\n", "1:5 invisible character U+00A0 (no-break space)"},
      {"cfg\u200B: 1\n", "1:4 invisible character U+200B (zero width space)"},
      {"a: 1\n\u00A0\u00A0b: 2\n", "2:1 invisible character U+00A0 (no-break space)"},
      {"a:\n  b: 1\n\u00A0 c: 2\n", "3:1 invisible character U+00A0 (no-break space)"},
      {"a: [1,\u20282]\n", "1:7 invisible character U+2028 (line separator)"},
      {"a: \"x\uFEFFy\"\n", "1:6 invisible character U+FEFF (byte order mark)"},
      {"a: 'x\u202Ey'\n", "1:6 invisible character U+202E (right-to-left override)"},
      {"a: |\n  x\u00ADy\n", "2:4 invisible character U+00AD (soft hyphen)"},
      {"a: &b \"x\u00ADy\"\n", "1:9 invisible character U+00AD (soft hyphen)"},
      {"a: b # c\u00A0\nd: e\u2060\n", "2:5 invisible character U+2060 (word joiner)"},
      {"a: 1\u00A0# c\n", "1:5 invisible character U+00A0 (no-break space)"},
      {"ä: ö\u0085\n", "1:5 invisible character U+0085 (next line)"}};
  for (const auto& [text, expected] : texts) EXPECT_EQ(failure(text), expected) << text;
  std::string repair;
  failure("cfg: 1\u00A0\n", &repair);
  EXPECT_EQ(repair, R"(remove it; where it is meant, write it as "\u00A0" in double quotes)");
}

TEST(Yaml, AllCharactersThatAreNotSeenAreNamed) {
  try {
    parse("a\u200B: 1\nb: 2\u00A0\n");
    FAIL();
  } catch (const Error& error) {
    ASSERT_EQ(error.problems().size(), 2u);
    EXPECT_EQ(error.problems()[1].place.line, 2);
  }
}

TEST(Yaml, WhatIsMeantIsTaken) {
  EXPECT_EQ(str(*parse("a: \"x\\u00A0y\" # c\u00A0\n# \u200B\nb: Zürich\nc: 👩‍🔬\n").root),
            "{a:\"x\u00A0y\",b:Zürich,c:👩‍🔬}");
  EXPECT_EQ(str(*parse("\uFEFFa: 1\n").root), "{a:1}") << "at the beginning it marks UTF-8";
}

}  // namespace
}  // namespace tarflow::sweep
