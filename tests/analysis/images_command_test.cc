// analyze images: what a record holds of one point, in files; and the page of `sample`.
#include <gmock/gmock.h>

#include <limits>
#include <sstream>

#include "analysis/command.h"
#include "analysis/page/strips.h"
#include "analysis/report.h"
#include "framework/core/file.h"
#include "framework/images/batch_file.h"
#include "framework/images/decode.h"
#include "tests/analysis/call.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ImagesCommand : public ::testing::Test {
 protected:
  ImagesCommand() {
    std::string name = (fs::temp_directory_path() / "tarflow-images-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    record::JobRecord sample = testing::make_job("j1", "sample", "small.pth", {"aa1", "aa2"});
    for (const char* point : {"aa1", "aa2"}) {
      record::Row row = testing::evaluate_row(point, "j1", "For", "sequential", 2);
      row["experiment"] = std::string("sample");
      sample.rows.push_back(row);
      record::Array images = testing::images_array(3, 2, pixels(3, point[2] == '1' ? 0.0f : 0.5f));
      images.path = std::string("images/final/") + point;
      images.point = point;
      sample.arrays.push_back(images);
    }
    sample.arrays.push_back(
        record::make_array("images/labels", {3}, std::vector<int64_t>{4, 0, 4}, "", "classes"));
    sample.columns = testing::columns_of(sample.rows);
    record::JobRecord evaluate = testing::make_job("j2", "evaluate", "small.pth", {"bb1"});
    evaluate.rows = {testing::evaluate_row("bb1", "j2", "For", "sequential", 2)};
    evaluate.rows[0]["saved_images"] = std::string("demo/jobs/j2/images/bb1");
    evaluate.columns = testing::columns_of(evaluate.rows);
    std::vector<float> spoilt = pixels(2, 0);
    spoilt[1] = std::numeric_limits<float>::quiet_NaN();
    evaluate.arrays = {testing::images_array(2, 2, spoilt)};
    for (const record::JobRecord* job : {&sample, &evaluate})
      record::write_job(folder_ / (job->hash + ".h5"), *job);
    const std::vector<fs::path> files = {folder_ / "j1.h5", folder_ / "j2.h5"};
    record::merge(folder_ / "demo.h5", "demo", files);
  }
  ~ImagesCommand() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  // `count` images of 2 x 2 whose values are i/10 and `first` at the beginning.
  static std::vector<float> pixels(int count, float first) {
    std::vector<float> values(static_cast<size_t>(12 * count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 10 - 1;
    values[0] = first;
    return values;
  }

  int run(std::vector<std::string> words) {
    out_ = err_ = "";
    words.insert(words.begin(), {"analyze", "images", (folder_ / "demo.h5").string()});
    std::vector<const char*> arguments;
    for (const std::string& word : words) arguments.push_back(word.c_str());
    std::ostringstream out, err;
    const int status =
        analyze(static_cast<int>(arguments.size()), arguments.data(), out, err, false);
    out_ = out.str();
    err_ = err.str();
    return status;
  }

  fs::path folder_;
  std::string out_, err_;
};

TEST_F(ImagesCommand, ListsThePointsThatHaveSome) {
  EXPECT_EQ(run({}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("aa1  sample  demo  strategy For"),
                          HasSubstr("3 images after self-denoising"),
                          HasSubstr("2 images before self-denoising  (all final images: "
                                    "demo/jobs/j2/images/bb1)")));
}

TEST_F(ImagesCommand, WritesThoseOfOnePointWithLabels) {
  const fs::path to = folder_ / "png";
  EXPECT_EQ(run({"--point", "aa2", "--to", to.string()}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("3 images of point aa2, after self-denoising, with their labels"));
  EXPECT_EQ(read_file(to / "labels.csv"), "file,label\n000000.png,4\n000001.png,0\n000002.png,4\n");
  const images::Image first = images::decode(read_file(to / "000000.png"), "x");
  EXPECT_EQ(first.width, 2);
  EXPECT_EQ(first.rgb[0], 191) << "0.5 is 0.75 of 255, truncated";
  EXPECT_EQ(run({"--point", "aa2", "--to", to.string()}), 1);
  EXPECT_THAT(err_, HasSubstr("is there and is not empty"));
  EXPECT_EQ(run({"--point", "aa1", "--to", (folder_ / "a.npz").string()}), 0) << err_;
  images::BatchFile batch(folder_ / "a.npz");
  EXPECT_EQ(batch.count(), 3);
  EXPECT_EQ(batch.labels(), (std::vector<int>{4, 0, 4}));
  EXPECT_EQ(batch.read(0).rgb[0], 127);
}

TEST_F(ImagesCommand, SaysWhatIsNotThere) {
  EXPECT_EQ(run({"--point", "bb", "--to", (folder_ / "b").string()}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("1 image of point bb1, before self-denoising"),
                          HasSubstr("not finite: 1 image"), Not(HasSubstr("labels")),
                          HasSubstr("All final images are in the folder of results: "
                                    "demo/jobs/j2/images/bb1")));
  EXPECT_EQ(run({"--point", "aa", "--to", (folder_ / "c").string()}), 1);
  EXPECT_THAT(err_, AllOf(HasSubstr("2 points have images"), HasSubstr("--point aa1")));
  EXPECT_EQ(run({"--point", "zz", "--to", (folder_ / "c").string()}), 1);
  EXPECT_THAT(err_, HasSubstr("begins with `zz`"));
  EXPECT_EQ(run({"--point", "zz"}), 1) << "an empty list is no answer";
  EXPECT_THAT(err_, HasSubstr("begins with `zz`"));
}

TEST_F(ImagesCommand, ThePageOfSampleShowsItsPictures) {
  ReportOptions options;
  options.published = testing::published_file();
  options.page = true;
  const Report report = make_report({folder_ / "j1.h5"}, folder_ / "report", options);
  ASSERT_EQ(report.pictures.size(), 1u);
  EXPECT_THAT(report.pictures[0].row_labels, ElementsAre(HasSubstr("aa1"), HasSubstr("aa2")));
  EXPECT_TRUE(fs::exists(folder_ / "report" / report.pictures[0].file));
  EXPECT_THAT(report.pictures[0].caption, HasSubstr("after self-denoising"));
}

TEST_F(ImagesCommand, PointsAreListedInTheOrderOfTheSweep) {
  const std::vector<record::JobFile> files = {{folder_ / "j1.h5", {}}, {folder_ / "j2.h5", {}}};
  record::merge(folder_ / "demo.h5", "demo", files, {.order = {"bb1", "aa2", "aa1"}});
  EXPECT_EQ(run({}), 0) << err_;
  EXPECT_LT(out_.find("bb1  "), out_.find("aa2  "));
  EXPECT_LT(out_.find("aa2  "), out_.find("aa1  "));
  const testing::Outcome points = testing::call({"export", (folder_ / "demo.h5").string()});
  EXPECT_EQ(points.status, 0) << points.err;
  EXPECT_LT(points.out.find("bb1,"), points.out.find("aa2,"));
  EXPECT_LT(points.out.find("aa2,"), points.out.find("aa1,"));
}

TEST_F(ImagesCommand, ExportDoesNotReplaceTheRecord) {
  const std::string file = (folder_ / "demo.h5").string();
  const testing::Outcome points = testing::call({"export", file, "--out", file});
  EXPECT_EQ(points.status, 1);
  EXPECT_THAT(points.err, HasSubstr("is to be read and written"));
  EXPECT_EQ(run({}), 0) << "the record is as it was";
}

TEST_F(ImagesCommand, AnImageFileIsNoFolder) {
  const fs::path to = folder_ / "aa.jpg";
  EXPECT_EQ(run({"--point", "bb1", "--to", to.string()}), 1);
  EXPECT_THAT(err_, HasSubstr("names one image"));
  EXPECT_FALSE(fs::exists(to));
}

}  // namespace
}  // namespace tarflow::analysis
