// What is known of the images that a sweep names, before anything runs.
#include <algorithm>

#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ImageFactsTest : public SweepTest {
 protected:
  ImageFactsTest() {
    std::filesystem::create_directories(folder_ / "pictures");
    write("s.h5", "statistics");
    std::erase_if(fields(), [](const Field& field) { return field.name == "images"; });
    add_images("images", FileKind::kImages);
    for (const char* name : {"layout", "guess_layout"}) {
      Field layout = make_field(name, FieldType::kChoice);
      layout.choices = {"flat", "classes"};
      fields().push_back(layout);
    }
    fields().push_back(with_default(make_field("max_unreadable", FieldType::kInteger), 0));
    options_.allow_missing = true;
    options_.facts.images = [this](const std::filesystem::path& path, FileKind kind,
                                   const std::string& layout) -> std::optional<ImageFacts> {
      asked_.push_back(path.filename().string() + " " + layout);
      if (kind == FileKind::kReference && path.extension() == ".h5") return std::nullopt;
      if (!fault_.empty()) throw Error(fault_, "repair it");
      return facts_;
    };
  }

  void add_images(const std::string& name, FileKind kind) {
    Field path = make_field(name, FieldType::kPath);
    path.identity = Identity::kContent;
    path.file = kind;
    fields().push_back(path);
  }

  // As `evaluate` has one, in the place of `images`.
  void have_a_reference() {
    std::erase_if(fields(), [](const Field& field) { return field.name == "images"; });
    add_images("reference", FileKind::kReference);
  }

  std::vector<Field>& fields() { return schemas_[0].fields; }

  // Of a sweep with these settings.
  std::vector<std::string> problems(const std::string& settings, bool warnings = false) {
    asked_.clear();
    std::vector<Problem> found;
    try {
      found = load_sweep(write("test.yaml", evaluate_with(settings)), schemas_, options_).warnings;
      if (!warnings) return {};
    } catch (const Error& error) {
      found = error.problems();
    }
    std::vector<std::string> lines;
    for (const Problem& problem : found) {
      lines.push_back(
          fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what));
    }
    return lines;
  }

  ExperimentSchemas schemas_ = test_schemas();
  LoadOptions options_;
  ImageFacts facts_;
  std::string fault_;
  std::vector<std::string> asked_;
};

TEST_F(ImageFactsTest, ImagesThatCannotBeReadAreLocated) {
  EXPECT_THAT(problems("      images: pictures\n"), IsEmpty());
  fault_ = "pictures has 2 images of its own";
  EXPECT_THAT(problems("      images: pictures\n"),
              ElementsAre("7:15 `images`: pictures has 2 images of its own"));
  EXPECT_THAT(problems("      images: absent\n"), IsEmpty());
  have_a_reference();
  EXPECT_THAT(problems("      reference: pictures\n"),
              ElementsAre("7:18 `reference`: pictures has 2 images of its own"));
  EXPECT_THAT(problems("      reference: s.h5\n"), IsEmpty());
}

TEST_F(ImageFactsTest, EachFolderHasItsOwnLayout) {
  EXPECT_THAT(problems("      images: pictures\n      grid: {layout: [flat, classes]}\n"),
              IsEmpty());
  EXPECT_THAT(asked_, ElementsAre("pictures flat", "pictures classes"));
  EXPECT_THAT(problems("      strategy: {name: '[7-8-4-4]', guess: auto}\n"
                       "      guess_images: pictures\n      guess_layout: classes\n"),
              IsEmpty());
  EXPECT_THAT(asked_, ElementsAre("pictures classes"));
}

TEST_F(ImageFactsTest, ALayoutWithoutAFolderIsTold) {
  EXPECT_THAT(problems("      layout: flat\n", true),
              ElementsAre("7:15 `layout` changes nothing without `images`"));
  have_a_reference();
  EXPECT_THAT(problems("      reference: s.h5\n      layout: flat\n", true),
              ElementsAre(HasSubstr("8:15 `layout` changes nothing: ")));
}

TEST_F(ImageFactsTest, ALayoutOfGuessesThatAreNotOpenIsTold) {
  EXPECT_THAT(problems("      guess_layout: flat\n", true),
              ElementsAre(HasSubstr("`guess_layout` changes nothing")));
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(ImageFactsTest, BrokenLinksMayBeAsManyAsUnreadableFiles) {
  facts_.broken = {"pictures/a.png", "pictures/b.png"};
  EXPECT_THAT(problems("      images: pictures\n"),
              ElementsAre("7:15 `images`: pictures/a.png is a link that leads nowhere, as are 1 "
                          "more"));
  EXPECT_THAT(problems("      images: pictures\n      max_unreadable: 1\n"),
              ElementsAre(HasSubstr("pictures/a.png")));
  EXPECT_THAT(problems("      images: pictures\n      max_unreadable: 2\n"), IsEmpty());
}

TEST_F(ImageFactsTest, MoreImagesThanThereAreIsAnError) {
  facts_.count = 100;
  EXPECT_THAT(problems("      images: pictures\n      num_images: 100\n"), IsEmpty());
  EXPECT_THAT(problems("      images: pictures\n      grid: {num_images: [50, 101]}\n"),
              ElementsAre(HasSubstr("8:31 `num_images`: 101 images, but `images` has 100: ")));
  EXPECT_THAT(problems("      strategy: {name: '[7-8-4-4]', guess: auto}\n"
                       "      guess_images: pictures\n      guess_num_images: 300\n"
                       "      num_images: 1000\n"),
              ElementsAre(HasSubstr("9:25 `guess_num_images`: 300 images, but `guess_images` has "
                                    "100")));
  facts_.count = 0;
  EXPECT_THAT(problems("      images: pictures\n      num_images: 101\n"), IsEmpty())
      << "how many there are is not known";
  facts_.count = 100;
  have_a_reference();
  EXPECT_THAT(problems("      reference: pictures\n      num_images: 101\n"), IsEmpty())
      << "samples may be more than the images they are compared with";
}

TEST_F(ImageFactsTest, FoldersAreTheModelsClassesWhereTheyAreLabels) {
  Field labels = with_default(make_field("labels", FieldType::kChoice), "none");
  labels.choices = {"none", "folder"};
  fields().push_back(labels);
  facts_.count = 100;
  facts_.classes = 3;
  const std::string folder = "      images: pictures\n      num_images: 9\n      labels: folder\n";
  EXPECT_THAT(problems("      images: pictures\n      num_images: 9\n"), IsEmpty());
  EXPECT_THAT(problems(folder), ElementsAre(HasSubstr("9:15 `labels: folder`: ")));
  EXPECT_THAT(problems(folder)[0],
              HasSubstr("has 3 class folders, but the model m has 10 classes"));
  facts_.classes = 10;
  EXPECT_THAT(problems(folder), IsEmpty());
  facts_.classes = 7;
  facts_.batches = true;  // numbers, of which not all need occur
  EXPECT_THAT(problems(folder), IsEmpty());
  facts_.classes = 11;
  EXPECT_THAT(problems(folder)[0], HasSubstr("has 11 labels, but the model m has 10 classes"));
  EXPECT_THAT(problems(folder + "      model: small\n")[0],
              HasSubstr("the model small is unconditional"));
}

TEST_F(ImageFactsTest, WhatIsLeftOutIsAWarning) {
  facts_.warnings = {"pictures: 6 image files are not read (6 .webp)"};
  EXPECT_THAT(problems("      images: pictures\n", true),
              ElementsAre("7:15 pictures: 6 image files are not read (6 .webp)"));
}

}  // namespace
}  // namespace tarflow::sweep
