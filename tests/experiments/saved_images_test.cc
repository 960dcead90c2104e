// `save_images`: all final images in files, the same that the distance sees, whatever interrupts
// the job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "framework/core/json.h"
#include "framework/images/batch_file.h"
#include "framework/images/decode.h"
#include "framework/images/image.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr int kStopped = 75;

class SavedImages : public Programs {
 protected:
  static std::string evaluate(const std::string& more, int images = 21) {
    return "  - evaluate: {num_images: " + std::to_string(images) +
           ", chunk: 4, strategy: For, cfg: 0, " + more + "}\n";
  }
  // The same images by `sample`, whose record holds all of them.
  static std::string sample(const std::string& more, int images = 21) {
    return "  - sample: {num_images: " + std::to_string(images) +
           ", chunk: 4, strategy: For, cfg: 0, " + more + "}\n";
  }

  static const record::Row& row_of(const record::SweepRecord& sweep,
                                   const std::string& experiment) {
    for (const record::Row& row : sweep.rows)
      if (std::get<std::string>(row.at("experiment")) == experiment) return row;
    throw std::runtime_error("no " + experiment);
  }

  static const record::Array& array_of(const record::SweepRecord& sweep, const record::Row& row,
                                       const std::string& path) {
    for (const record::Array& array : sweep.jobs.at(std::get<std::string>(row.at("job"))).arrays)
      if (array.path == path) return array;
    throw std::runtime_error("no " + path);
  }

  // What the record of `sample` holds, as the distance sees it.
  static std::vector<images::Image> expected(const record::SweepRecord& sweep) {
    const record::Row& row = row_of(sweep, "sample");
    const record::Array& array =
        array_of(sweep, row, "images/final/" + std::get<std::string>(row.at("point")));
    const std::vector<double> values = record::to_doubles(array);
    std::vector<images::Image> pictures;
    const size_t size = values.size() / static_cast<size_t>(array.shape[0]);
    for (size_t begin = 0; begin < values.size(); begin += size) {
      const std::vector<float> image(values.begin() + static_cast<std::ptrdiff_t>(begin),
                                     values.begin() + static_cast<std::ptrdiff_t>(begin + size));
      pictures.push_back(images::to_image(image, 8, 8));
    }
    return pictures;
  }

  static std::vector<int64_t> labels_of(const record::SweepRecord& sweep) {
    const std::vector<double> labels =
        record::to_doubles(array_of(sweep, row_of(sweep, "sample"), "images/labels"));
    return {labels.begin(), labels.end()};
  }

  fs::path saved(const record::Row& row) const {
    return folder_ / "results" / std::get<std::string>(row.at("saved_images"));
  }

  static void expect_png(const fs::path& folder, const std::vector<images::Image>& pictures,
                         const std::vector<int64_t>& labels) {
    std::string csv = "file,label\n";
    for (size_t i = 0; i < pictures.size(); ++i) {
      const std::string name = (i < 10 ? "00000" : "0000") + std::to_string(i) + ".png";
      EXPECT_EQ(images::decode(read_file(folder / name), name), pictures[i]) << i;
      csv += name + "," + std::to_string(labels[i]) + "\n";
    }
    EXPECT_EQ(read_file(folder / "labels.csv"), csv);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}),
              static_cast<std::ptrdiff_t>(pictures.size() + 1));
  }
};

TEST_F(SavedImages, AreThoseThatTheDistanceSees) {
  const record::SweepRecord sweep = run(
      evaluate("save_images: png, self_denoising_lr: 1") +
      evaluate("save_images: npz, self_denoising_lr: 1, seed: 3") + sample("self_denoising_lr: 1"));
  const std::vector<images::Image> pictures = expected(sweep);
  for (const record::Row& row : sweep.rows) {
    if (std::get<std::string>(row.at("experiment")) != "evaluate") continue;
    if (std::get<int64_t>(row.at("seed")) == 0) {
      expect_png(saved(row), pictures, labels_of(sweep));
      EXPECT_EQ(std::get<std::string>(row.at("save_images")), "png");
    } else {
      images::BatchFile batch(saved(row));
      EXPECT_EQ(batch.count(), 21);
      EXPECT_THAT(*batch.labels(), SizeIs(21));
      EXPECT_NE(batch.read(0), pictures[0]) << "another seed";
    }
  }
  const record::Row& row = row_of(sweep, "sample");
  EXPECT_FALSE(row.contains("saved_images")) << "nobody asked for them";
}

TEST_F(SavedImages, OfSampleAreThoseOfItsRecord) {
  const record::SweepRecord sweep = run(sample("save_images: npz, nonfinite: exclude"));
  const std::vector<images::Image> pictures = expected(sweep);
  images::BatchFile batch(saved(row_of(sweep, "sample")));
  ASSERT_EQ(batch.count(), static_cast<int64_t>(pictures.size()));
  const std::vector<int> labels = *batch.labels();
  EXPECT_EQ(std::vector<int64_t>(labels.begin(), labels.end()), labels_of(sweep));
  for (size_t i = 0; i < pictures.size(); ++i)
    EXPECT_EQ(batch.read(static_cast<int64_t>(i)), pictures[i]) << i;
}

TEST_F(SavedImages, ImagesThatAreNotFiniteAreLeftOut) {
  const record::SweepRecord sweep =
      run("  - evaluate: {num_images: 40, chunk: 4, strategy: For, cfg: 1000, nonfinite: exclude, "
          "save_images: npz}\n");
  const int64_t left_out = std::get<int64_t>(sweep.rows[0].at("nonfinite_images"));
  ASSERT_GT(left_out, 0) << "so large a guidance overflows";
  EXPECT_EQ(images::BatchFile(saved(sweep.rows[0])).count(), 40 - left_out);
}

TEST_F(SavedImages, PointsThatAreDoneWithoutThemAreSampledAgain) {
  const record::SweepRecord before = run(evaluate("self_denoising_lr: 0"));
  const record::SweepRecord after = run(evaluate("self_denoising_lr: 0, save_images: png"));
  EXPECT_EQ(before.rows[0].at("point"), after.rows[0].at("point"))
      << "saving changes no result, so it is the same point";
  const fs::path png = saved(after.rows[0]) / "000000.png";
  ASSERT_TRUE(fs::exists(png));
  const auto written = fs::last_write_time(png);
  run(evaluate("self_denoising_lr: 0, save_images: png"));
  EXPECT_EQ(fs::last_write_time(png), written) << "and not once more";
  run(evaluate("self_denoising_lr: 0"));
  EXPECT_TRUE(fs::exists(png)) << "images are not removed";
  fs::rename(saved(after.rows[0]), folder_ / "moved");
  run(evaluate("self_denoising_lr: 0, save_images: png"));
  EXPECT_FALSE(fs::exists(png)) << "images that were moved elsewhere are not made again";
}

TEST_F(SavedImages, PointsWithTheSameImagesHaveThemOnce) {
  fs::copy(asset("cifar10"), folder_ / "real", fs::copy_options::recursive);
  const record::SweepRecord sweep = run(
      "  - evaluate: {num_images: 6, chunk: 4, strategy: For, save_images: png, extractor: " +
      asset("cifar10_extractor.pt").string() + ", grid: {reference: [" + asset("cifar10").string() +
      ", " + (folder_ / "real").string() + "], self_denoising_lr: [0, 1]}}\n");
  std::map<double, std::set<std::string>> folders;
  for (const record::Row& row : sweep.rows)
    folders[number(row, "self_denoising_lr")].insert(std::get<std::string>(row.at("saved_images")));
  ASSERT_THAT(folders, SizeIs(2));
  EXPECT_THAT(folders[0], SizeIs(1));
  EXPECT_THAT(folders[1], SizeIs(1));
  EXPECT_NE(folders[0], folders[1]);
}

// The worker alone, on the job of a sweep.
class SavedImagesOfAJob : public SavedImages {
 protected:
  void plan(const std::string& format) {
    const record::SweepRecord sweep =
        run(evaluate("save_images: " + format, kImages) + sample("self_denoising_lr: 1", kImages));
    pictures_ = expected(sweep);
    labels_ = labels_of(sweep);
    hash_ = std::get<std::string>(row_of(sweep, "evaluate").at("job"));
    point_ = std::get<std::string>(row_of(sweep, "evaluate").at("point"));
  }

  fs::path trial(const std::string& name) const {
    const fs::path folder = folder_ / "results/toy/trials" / name;
    fs::create_directories(folder);
    fs::copy_file(folder_ / "results/toy/jobs" / hash_ / "job.json", folder / "job.json");
    return folder;
  }

  static pid_t start_job(const fs::path& folder, int ranks) {
    const std::string program = (fs::path(TARFLOW_RUN_SWEEP).parent_path() / "run_job").string();
    const std::string count = std::to_string(ranks);
    const pid_t process = ::fork();
    if (process != 0) return process;
    ::setpgid(0, 0);  // so that the ranks can be killed with it
    if (!::freopen((folder / "log.txt").c_str(), "a", stdout) || ::dup2(1, 2) < 0) ::_exit(99);
    ::execl(program.c_str(), program.c_str(), folder.c_str(), "--ranks", count.c_str(), "--threads",
            count.c_str(), nullptr);
    ::_exit(99);
  }

  static constexpr int kImages = 200;
  std::vector<images::Image> pictures_;
  std::vector<int64_t> labels_;
  std::string hash_, point_;
};

TEST_F(SavedImagesOfAJob, AreTheSameForAnyCountOfRanksAndAfterStops) {
  for (const char* format : {"png", "npz"}) {
    plan(format);
    for (const int ranks : {1, 3}) {
      const fs::path folder = trial(std::string(format) + std::to_string(ranks));
      // Stopped at any time, then killed at any time, then left alone.
      for (const int signal : {SIGTERM, SIGKILL, 0}) {
        fs::remove(folder / "progress.json");
        const pid_t process = start_job(folder, ranks);
        if (signal != 0) {
          for (int i = 0; i < 3000 && !fs::exists(folder / "progress.json"); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
          std::this_thread::sleep_for(std::chrono::milliseconds(30));
          ::kill(signal == SIGKILL ? -process : process, signal);
        }
        const int status = wait(process);
        if (signal == 0) {
          ASSERT_EQ(status, 0) << read_file(folder / "log.txt");
        }
        if (signal == SIGTERM) {
          EXPECT_THAT(status, testing::AnyOf(kStopped, 0));
        }
        if (status == 0) break;
        EXPECT_FALSE(fs::exists(folder / "images" / (point_ + ".json"))) << "not whole";
      }
      const fs::path saved = folder / "images" / point_;
      if (std::string(format) == "npz") {
        images::BatchFile batch(saved.string() + ".npz");
        ASSERT_EQ(batch.count(), kImages);
        for (int i = 0; i < kImages; ++i)
          EXPECT_EQ(batch.read(i), pictures_[static_cast<size_t>(i)]) << i;
        EXPECT_FALSE(fs::exists(folder / "images" / ("." + point_ + ".parts")));
      } else {
        EXPECT_EQ(std::distance(fs::directory_iterator(saved), {}), kImages + 1);
        for (const int i : {0, 3, 4, 177, 199}) {
          char name[16];
          std::snprintf(name, sizeof name, "%06d.png", i);
          EXPECT_EQ(images::decode(read_file(saved / name), name),
                    pictures_[static_cast<size_t>(i)])
              << i;
        }
      }
    }
    fs::remove_all(folder_ / "results");
  }
}

TEST_F(SavedImagesOfAJob, ImagesThatWereRemovedMeanwhileAreMadeAgain) {
  plan("png");
  const fs::path folder = trial("removed");
  const pid_t process = start_job(folder, 1);
  for (int i = 0; i < 3000 && !fs::exists(folder / "progress.json"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ::kill(process, SIGTERM);
  if (wait(process) != kStopped) GTEST_SKIP() << "it was done before it was stopped";
  fs::remove_all(folder / "images");
  ASSERT_EQ(wait(start_job(folder, 1)), 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "images" / point_), {}), kImages + 1);
}

TEST_F(SavedImagesOfAJob, APlaceThatCannotBeWrittenFailsTheJobWithARepair) {
  plan("png");
  const fs::path folder = trial("blocked");
  write_file(folder / "images", "a file in the place of the folder");
  EXPECT_EQ(wait(start_job(folder, 1)), 1);
  EXPECT_THAT(read_file(folder / "log.txt"),
              testing::AllOf(HasSubstr("images"), HasSubstr("see who may write there")));
}

}  // namespace
}  // namespace tarflow::experiments
