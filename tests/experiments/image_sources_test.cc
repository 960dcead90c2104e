// What real images are read from: folders and .npz batches, and what of them is left out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/images/batch_file.h"
#include "framework/images/png.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kImages = 6;  // of sorted.npz, two of each class

class ImageSources : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    fs::copy(TARFLOW_SOURCE_DIR "/tests/images/fixtures/batches/sorted.npz",
             folder_ / "sorted.npz");
    images::BatchFile batch(folder_ / "sorted.npz");
    for (int i = 0; i < kImages; ++i) {
      images::write_png(folder_ / "classes" / std::to_string(i / 2) / (std::to_string(i) + ".png"),
                        batch.read(i));
    }
  }

  // The density of each image.
  std::vector<double> densities(const std::string& settings) const {
    fs::remove_all(folder_ / "results");
    const record::SweepRecord sweep = run("  - bpd: {" + settings + "}\n");
    for (const record::Array& array : sweep.jobs.begin()->second.arrays) {
      if (array.path == "likelihood/nats") return record::to_doubles(array);
    }
    throw std::out_of_range("likelihood/nats");
  }

  std::string failure_of(const std::string& entry) const {
    EXPECT_NE(wait(start("  - " + entry + "\n")), 0);
    return read_file(folder_ / "log");
  }
};

TEST_F(ImageSources, NpzBatchesAreReadAsFoldersAre) {
  fs::create_directory(folder_ / "batches");
  fs::copy(folder_ / "sorted.npz", folder_ / "batches/a.npz");
  for (const char* labels : {"none", "folder"}) {
    const std::string rest = std::string(", labels: ") + labels;
    const std::vector<double> expected = densities("images: classes" + rest);
    ASSERT_EQ(expected.size(), size_t{kImages});
    EXPECT_EQ(densities("images: sorted.npz" + rest), expected) << labels;
    EXPECT_EQ(densities("images: batches, batch: 4" + rest), expected) << labels;
  }
  EXPECT_NE(densities("images: sorted.npz, labels: folder"), densities("images: sorted.npz"));
}

TEST_F(ImageSources, WhatNpzBatchesLackIsSaid) {
  fs::copy(TARFLOW_SOURCE_DIR "/tests/images/fixtures/batches/floats.npz", folder_ / "floats.npz");
  EXPECT_THAT(failure_of("bpd: {images: floats.npz}"),
              AllOf(HasSubstr("toy.yaml:"), HasSubstr("`arr_0` holds float32, not uint8")));
  fs::copy(TARFLOW_SOURCE_DIR "/tests/images/fixtures/batches/adm_deflated.npz",
           folder_ / "bare.npz");
  EXPECT_THAT(failure_of("bpd: {images: bare.npz, labels: folder}"),
              HasSubstr("bare.npz holds no labels"));
  EXPECT_THAT(failure_of("bpd: {images: sorted.npz, layout: flat}"),
              HasSubstr("a layout is of a folder"));
}

TEST_F(ImageSources, ALayoutDecidesWhereImagesLieInBothPlaces) {
  for (int i = 0; i < 2; ++i)
    images::write_png(folder_ / "classes" / (std::to_string(i) + ".png"), images::blank(8, 8, {}));
  EXPECT_THAT(failure_of("bpd: {images: classes}"),
              AllOf(HasSubstr("toy.yaml:"), HasSubstr("classes has 2 images of its own"),
                    HasSubstr("6 images in the folder"), HasSubstr("classes/0")));
  EXPECT_EQ(densities("images: classes, layout: flat").size(), 2u);
  EXPECT_EQ(densities("images: classes, layout: classes").size(), size_t{kImages});
}

TEST_F(ImageSources, FormatsThatAreNotReadAreCounted) {
  write_file(folder_ / "classes/0/a.webp", "RIFF");
  write_file(folder_ / "classes/1/b.WEBP", "RIFF");
  const record::SweepRecord sweep = run("  - bpd: {images: classes}\n");
  const std::string words = "2 image files are not read (2 .webp)";
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr(words));
  const auto& [hash, job] = *sweep.jobs.begin();
  const Json& found = job.environment.at("images_not_read");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.begin().value(), (Json{{".webp", 2}}));
  EXPECT_THAT(read_file(folder_ / "results/toy/jobs" / hash / "log.txt"), HasSubstr(words));
}

}  // namespace
}  // namespace tarflow::experiments
