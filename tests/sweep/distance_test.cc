// An extractor and what its features are compared with.
#include "framework/checkpoint/zip_writer.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPickle = "\x80\2 as torch.save wrote before zip archives";

class DistanceTest : public SweepTest {
 protected:
  DistanceTest() {
    add("extractor", FileKind::kExtractor);
    add("reference", FileKind::kReference);
    write("e.pt", kPickle);
    write("s.h5", "statistics");
  }

  void add(const std::string& name, FileKind kind) {
    Field field = make_field(name, FieldType::kPath);
    field.identity = Identity::kContent;
    field.file = kind;
    fields().push_back(field);
  }

  std::vector<Field>& fields() { return schemas_[0].fields; }

  std::vector<std::string> problems(const std::string& settings) {
    try {
      load_sweep(write("test.yaml", evaluate_with(settings)), schemas_, {.allow_missing = true});
    } catch (const Error& error) {
      std::vector<std::string> lines;
      for (const Problem& problem : error.problems())
        lines.push_back(fmt::format("{}:{} {}; {}", problem.place.line, problem.place.column,
                                    problem.what, problem.repair));
      return lines;
    }
    return {};
  }

  ExperimentSchemas schemas_ = test_schemas();
};

TEST_F(DistanceTest, NeedsBothFiles) {
  EXPECT_THAT(problems("      extractor: e.pt\n      reference: s.h5\n"), IsEmpty());
  EXPECT_THAT(problems("      cfg: 1\n"), IsEmpty());
  EXPECT_THAT(problems("      reference: s.h5\n"),
              ElementsAre("7:18 `reference` without `extractor`: a distance needs both; add "
                          "`extractor`, or remove `reference`"));
  EXPECT_THAT(problems("      extractor: e.pt\n"),
              ElementsAre(HasSubstr("7:18 `extractor` without `reference`")));
  EXPECT_THAT(problems("      extractor: e.pt\n      include: [{cfg: 1}, {reference: s.h5}]\n"),
              ElementsAre(HasSubstr("7:18 `extractor` without `reference`")))
      << "one of the points has both";
}

TEST_F(DistanceTest, IsWhatOnlySomeTuningsMeasure) {
  fields().push_back(with_default(make_field("fd_rise", FieldType::kNumber), 0.0));
  EXPECT_THAT(problems("      reference: s.h5\n"), IsEmpty());
  EXPECT_THAT(problems("      reference: s.h5\n      fd_rise: 0.01\n"),
              ElementsAre(HasSubstr("7:18 `reference` without `extractor`")));
}

TEST_F(DistanceTest, ATemperatureWithoutGuidanceIsTold) {
  const auto warnings = [&](const std::string& settings) {
    std::vector<std::string> lines;
    for (const Problem& problem : load(evaluate_with(settings)).warnings)
      lines.push_back(
          fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what));
    return lines;
  };
  EXPECT_THAT(warnings("      grid: {attn_temp: [0.5, 1]}\n"),
              ElementsAre(HasSubstr("7:26 `attn_temp` changes nothing without guidance")));
  EXPECT_THAT(warnings("      grid: {attn_temp: [0.5, 1], cfg: [0, 1]}\n"), IsEmpty());
  EXPECT_THAT(warnings("      attn_temp: 1\n"), IsEmpty());
}

// Its job would find it as well, perhaps hours later.
TEST_F(DistanceTest, AFileThatIsNoExtractorIsTold) {
  const auto told = [&] { return problems("      extractor: e.pt\n      reference: s.h5\n"); };
  for (const auto& [content, kind] :
       std::map<std::string, std::string>{{"<!doctype html><html>", "an HTML page"},
                                          {"no TorchScript", "a text file"},
                                          {"", "an empty file"}}) {
    write("e.pt", content);
    EXPECT_THAT(told(), ElementsAre(AllOf(HasSubstr("7:18 `extractor`: "),
                                          HasSubstr("e.pt is " + kind + ", not a TorchScript"))));
  }
  write("e.pt", "L119547037146038801333356L.");
  EXPECT_THAT(told(), IsEmpty());
  std::filesystem::create_directories(folder_ / "f.pt");
  EXPECT_THAT(problems("      extractor: f.pt\n      reference: s.h5\n"),
              ElementsAre(AllOf(HasSubstr("is a folder"), HasSubstr("torch.jit.save"))));
}

TEST_F(DistanceTest, AZipArchiveWithoutANetworkIsTold) {
  for (const auto& [name, message] :
       std::map<std::string, std::string>{{"a.npy", "is a NumPy file (.npz), not a TorchScript"},
                                          {"net/data.pkl", ""},
                                          {"net/constants.pkl", ""}}) {
    checkpoint::write_zip(folder_ / "e.pt",
                          {{name, 0, [] { return [](std::span<std::byte>) {}; }}});
    const auto told = problems("      extractor: e.pt\n      reference: s.h5\n");
    if (message.empty()) {
      EXPECT_THAT(told, IsEmpty()) << name;
    } else {
      EXPECT_THAT(told, ElementsAre(HasSubstr(message)));
    }
  }
}

TEST_F(DistanceTest, AnExtractorWithoutItsEndIsTold) {
  write("e.pt", std::string("PK\3\4") + std::string(5000, 'x'));
  EXPECT_THAT(problems("      extractor: e.pt\n      reference: s.h5\n"),
              ElementsAre(AllOf(HasSubstr("7:18 `extractor`: "), HasSubstr("e.pt"),
                                HasSubstr("its end is missing, only 5004 bytes are there"))));
}

TEST_F(DistanceTest, StatisticsThatDoNotBelongToTheExtractorOrTheModel) {
  ReferenceFacts facts{96, 32, "aaaaaaaaaaaaaaaaaaaa"};
  LoadOptions options{.allow_missing = true};
  options.facts.reference = [&](const std::filesystem::path&) { return facts; };
  options.facts.features = [](const std::filesystem::path&, int64_t) { return 96; };
  options.facts.sha256 = [](const std::filesystem::path&) { return "aaaaaaaaaaaaaaaaaaaa"; };
  const auto found = [&] {
    try {
      load_sweep(
          write("test.yaml", evaluate_with("      extractor: e.pt\n      reference: s.h5\n")),
          schemas_, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.problems().size(), 1U);
      const Problem& problem = error.problems()[0];
      return fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what);
    }
    return std::string();
  };
  EXPECT_EQ(found(), "");
  facts.features = 2048;
  EXPECT_EQ(found(),
            "8:18 `reference`: s.h5 has 2048 features an image, but the extractor e.pt gives 96");
  facts = {96, 64, "aaaaaaaaaaaaaaaaaaaa"};
  EXPECT_EQ(found(),
            "8:18 `reference`: s.h5 was made from images of 64 pixels, but the model's have 32");
  facts = {96, 0, "bbbbbbbbbbbbbbbbbbbb"};
  EXPECT_EQ(found(),
            "8:18 `reference`: s.h5 was made by the extractor with SHA-256 bbbbbbbbbbbb..., but "
            "e.pt has aaaaaaaaaaaa...");
}

}  // namespace
}  // namespace tarflow::sweep
