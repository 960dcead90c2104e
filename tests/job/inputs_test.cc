// What a job reads is what it was planned with.
#include "framework/job/inputs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "framework/core/hash.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kChanged = "has changed since the sweep was planned";

// Of an action that ends with an error whose message matches.
template <typename Matcher>
auto refuses(const Matcher& message) {
  return testing::ThrowsMessage<Error>(message);
}

class InputsTest : public testing::Test {
 protected:
  void SetUp() override {
    write_file(file_, "one");
    write_file(images_ + "/a.png", "first");
    write_file(images_ + "/b.png", "second");
  }

  // A job that names the file and the folder, with their content and stamps as they are now.
  Job planned() const {
    Job job;
    job.settings = sweep::Settings(Json{{"data", file_}, {"images", images_}});
    ContentHasher hasher("", {}, -1);
    job.contents = Json{{"data", hasher.hash(file_)}, {"images", hasher.hash(images_)}};
    job.stamps = Json{{file_, hasher.stamp(file_)}, {images_, hasher.stamp(images_)}};
    return job;
  }
  // The file written beside and renamed over the old one, as training does.
  void replace(const std::string& path, const std::string& content) const {
    write_file(folder_ / "aside", content);
    fs::rename(folder_ / "aside", path);
  }
  static std::string text(Inputs& inputs, const std::string& path) {
    return inputs.read(path, [&] { return read_file(path); });
  }

  const Scratch folder_;
  const std::string file_ = folder_ / "data.bin", images_ = folder_ / "images";
};

TEST_F(InputsTest, OfAJobAreItsCheckpointAndPathsEachOnce) {
  Job job;
  job.hash = "0123456789abcdef";
  job.model = Json{{"name", "m"}, {"checkpoint", "/m.pth"}};
  job.settings = sweep::Settings(Json{{"data", "/d"}, {"cfg", 1}});
  job.contents = Json{{"checkpoint", "aa"}, {"data", "bb"}};
  job.stamps = Json{{"/m.pth", "s"}, {"/other", "t"}};
  for (const char* path : {"/r", "/r", "/q"}) {
    JobPoint point;
    point.settings = sweep::Settings(Json{{"reference", path}});
    point.contents = Json{{"reference", "cc"}};
    job.points.push_back(point);
  }
  std::vector<std::string> found;
  for (const Input& input : inputs_of(job))
    found.push_back(input.path + " " + input.content + " " + input.stamp);
  EXPECT_THAT(found, ElementsAre("/d bb ", "/m.pth aa s", "/q cc ", "/r cc "));
  const Json json = to_json(job);
  EXPECT_EQ(json.at("stamps"), (Json{{"/m.pth", "s"}})) << "those of other jobs are left out";
  EXPECT_EQ(to_json(job_from_json(json)), json);
  Json old = json;
  old.erase("stamps");
  EXPECT_EQ(inputs_of(job_from_json(old)).size(), 4u);
}

TEST_F(InputsTest, AnEqualStampIsProofWithoutReading) {
  Job job = planned();
  // Contents that are not those of the files would be found out by reading.
  job.contents = Json{{"data", "never read"}, {"images", "never read"}};
  Inputs inputs(job);
  EXPECT_EQ(text(inputs, file_), "one");
  EXPECT_EQ(inputs.read(images_, [] { return 3; }), 3);
  inputs.require_unchanged();
}

TEST_F(InputsTest, AnotherStampIsNoChangeWhereTheContentIsThePlannedOne) {
  Job job = planned();
  replace(file_, "one");  // another inode and other times, as on another host
  Inputs touched(job);
  EXPECT_EQ(text(touched, file_), "one");
  job.stamps = SharedJson();  // of a plan that noted none
  Inputs unknown(job);
  EXPECT_EQ(text(unknown, file_), "one");
  EXPECT_EQ(unknown.read(images_, [] { return 3; }), 3);
  touched.require_unchanged();
  unknown.require_unchanged();
}

TEST_F(InputsTest, AChangeBeforeReadingEndsTheJob) {
  const Job job = planned();
  replace(file_, "two");
  Inputs inputs(job);
  EXPECT_THAT([&] { text(inputs, file_); },
              refuses(testing::AllOf(HasSubstr(file_ + " " + kChanged),
                                     HasSubstr("run the same command"))));
  fs::remove(file_);
  EXPECT_THAT([&] { text(inputs, file_); }, refuses(HasSubstr(file_ + " " + kChanged)));
  replace(images_ + "/b.png", "2econd");
  EXPECT_THAT([&] { inputs.read(images_, [] { return 3; }); },
              refuses(HasSubstr(images_ + " " + kChanged)));
}

TEST_F(InputsTest, EqualSizeAndTimeHideNoChange) {
  const auto time = fs::last_write_time(file_);
  const Job job = planned();
  replace(file_, "two");  // a copy that preserves times
  fs::last_write_time(file_, time);
  EXPECT_THAT(
      [&] {
        Inputs inputs(job);
        text(inputs, file_);
      },
      refuses(HasSubstr(kChanged)));
}

TEST_F(InputsTest, ALinkThatLeadsElsewhereIsAChange) {
  const std::string link = folder_ / "current", other = folder_ / "other";
  fs::create_directory_symlink(images_, link);
  write_file(other + "/a.png", "first");
  write_file(other + "/b.png", "other.");
  Job job = planned();
  job.settings = sweep::Settings(Json{{"images", link}});
  ContentHasher hasher("", {}, -1);
  job.contents = Json{{"images", hasher.hash(link)}};
  job.stamps = Json{{link, hasher.stamp(link)}};
  Inputs before(job);
  EXPECT_EQ(before.read(link, [] { return 3; }), 3);
  fs::remove(link);
  fs::create_directory_symlink(other, link);
  EXPECT_THAT([&] { before.require_unchanged(); }, refuses(HasSubstr(link + " " + kChanged)));
}

TEST_F(InputsTest, AFolderIsProvenInTheLayoutOfItsPlan) {
  write_file(images_ + "/cats/c.png", "third");
  ContentHasher hasher("", {}, -1);
  const std::string flat = hasher.hash(images_, images::Layout::kFlat),
                    classes = hasher.hash(images_, images::Layout::kClasses);
  Job job;
  // The layouts are common to the points, and the folder of `reference` is not.
  job.settings = sweep::Settings(
      Json{{"guess_images", images_}, {"guess_layout", "classes"}, {"layout", "flat"}});
  job.contents = Json{{"guess_images", classes}};
  JobPoint point;
  point.settings = sweep::Settings(Json{{"reference", images_}});
  point.contents = Json{{"reference", flat}};
  job.points.push_back(point);
  Json stamps;
  for (const images::Layout layout : {images::Layout::kFlat, images::Layout::kClasses})
    stamps[stamp_key(images_, layout)] = hasher.stamp(images_, layout);
  const auto read = [&](Inputs inputs) { return inputs.read(images_, [] { return 3; }); };
  EXPECT_EQ(read(Inputs(job)), 3) << "both are hashed";
  job.stamps = stamps;
  EXPECT_EQ(to_json(job).at("stamps"), stamps);
  EXPECT_EQ(read(Inputs(job)), 3);
  write_file(images_ + "/README.md", "what no layout reads");
  EXPECT_EQ(read(Inputs(job)), 3);
  Inputs inputs(job);
  EXPECT_EQ(inputs.read(images_, [] { return 3; }), 3);
  replace(images_ + "/cats/c.png", "fourth");  // which the layout of `reference` does not read
  EXPECT_THAT([&] { inputs.require_unchanged(); }, refuses(HasSubstr(images_ + " " + kChanged)));
  EXPECT_THAT([&] { read(Inputs(job)); }, refuses(HasSubstr(images_ + " " + kChanged)));
}

TEST_F(InputsTest, AFileHasNoLayout) {
  Job job = planned();
  job.settings = sweep::Settings(Json{{"data", file_}, {"layout", "flat"}});
  job.contents = Json{{"data", sha256_hex("one")}};
  job.stamps = SharedJson();
  Inputs inputs(job);
  EXPECT_EQ(text(inputs, file_), "one");
}

TEST_F(InputsTest, AChangeWhileReadingEndsTheJobEvenIfItIsTakenBack) {
  const Job job = planned();
  Inputs inputs(job);
  EXPECT_THAT(
      [&] {
        inputs.read(file_, [&] {
          replace(file_, "two");
          const std::string wrong = read_file(file_);
          replace(file_, "one");
          return wrong;
        });
      },
      refuses(HasSubstr("was changed while it was read")));
  // A file that is half written looks damaged: the change is what to say.
  EXPECT_THAT(
      [&] {
        inputs.read(file_, [&] {
          replace(file_, "tw");
          throw Error("it is damaged");
        });
      },
      refuses(HasSubstr(kChanged)));
  replace(file_, "one");
  EXPECT_THAT([&] { inputs.read(file_, [] { throw Error("it is damaged"); }); },
              refuses(HasSubstr("it is damaged")));
}

TEST_F(InputsTest, AChangeBeforeTheResultIsWrittenEndsTheJob) {
  const Job job = planned();
  Inputs inputs(job);
  text(inputs, file_);
  inputs.not_needed(images_);
  replace(images_ + "/a.png", "other");
  inputs.require_unchanged();
  replace(file_, "two");
  EXPECT_THAT([&] { inputs.require_unchanged(); }, refuses(HasSubstr(file_ + " " + kChanged)));
  replace(file_, "one");
  inputs.require_unchanged();
}

TEST_F(InputsTest, WhatNobodyReadIsProvenAtTheEnd) {
  const Job job = planned();
  EXPECT_THAT(Inputs(job).require_unchanged(), ElementsAre(file_, images_));
  Inputs inputs(job);
  text(inputs, file_);
  EXPECT_THAT(inputs.require_unchanged(), ElementsAre(images_));
  replace(images_ + "/a.png", "other");
  EXPECT_THAT([&] { Inputs(job).require_unchanged(); }, refuses(HasSubstr(images_)));
}

TEST_F(InputsTest, MadeFilesOfTheSweepMustStayWhileTheJobRuns) {
  Job job = planned();
  job.contents = Json{{"data", "made by 0123"}};
  Inputs inputs(job);
  EXPECT_EQ(text(inputs, file_), "one");
  inputs.require_unchanged();
  replace(file_, "two");
  EXPECT_THAT([&] { inputs.require_unchanged(); }, refuses(HasSubstr(file_ + " " + kChanged)));
}

}  // namespace
}  // namespace tarflow::job
