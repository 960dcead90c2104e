#include "framework/job/progress.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "framework/job/device.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

TEST(Progress, ReadsWhatAWorkerWritesAndNothingElse) {
  const WorkerProgress progress = worker_progress_from_json(
      {{"done", 128}, {"total", 256}, {"phase", "sampling"}, {"images_per_second", 35.25}});
  EXPECT_EQ(describe(progress), "sampling 128/256, 35.2 images/s");
  EXPECT_EQ(progress.fraction(), 0.5);
  EXPECT_EQ(describe(worker_progress_from_json(
                {{"done", 128}, {"total", 1280000}, {"phase", "training"}, {"unit", "images"}})),
            "training 128/1280000 images");
  EXPECT_EQ(describe(worker_progress_from_json({{"done", "x"}, {"phase", 3}})), "");
  EXPECT_EQ(describe(worker_progress_from_json(Json(nullptr))), "");
  EXPECT_EQ(worker_progress_from_json({{"done", 9}, {"total", 3}}).fraction(), 1.0);
  EXPECT_EQ(worker_progress_from_json({{"done", -1}, {"total", 3}}).fraction(), 0.0);
}

TEST(Progress, TellsHowFarAPieceIs) {
  const WorkerProgress inside = worker_progress_from_json({{"done", 64},
                                                           {"total", 256},
                                                           {"piece", 64},
                                                           {"share", 0.237},
                                                           {"phase", "sampling"},
                                                           {"unit", "images"},
                                                           {"images_per_second", 3.0}});
  EXPECT_EQ(describe(inside), "sampling 30 %, 64/256 images ready, 3.0 images/s");
  EXPECT_DOUBLE_EQ(inside.fraction(), (64 + 0.237 * 64) / 256);
  const WorkerProgress only = worker_progress_from_json({{"done", 0},
                                                         {"total", 8},
                                                         {"piece", 8},
                                                         {"share", 0.97},
                                                         {"unit", "images"},
                                                         {"phase", "sampling"}});
  EXPECT_EQ(describe(only), "sampling 97 %, 0/8 images ready");
}

TEST(Progress, WhatFollowsTheImagesIsNoReturnToTheBeginning) {
  const WorkerProgress metrics = worker_progress_from_json({{"done", 0},
                                                            {"total", 2},
                                                            {"unit", "points"},
                                                            {"phase", "metrics"},
                                                            {"images_per_second", 3.0},
                                                            {"rate_of", "sampling"},
                                                            {"finishing", true}});
  EXPECT_EQ(describe(metrics), "all images are made, metrics 0/2 points")
      << "the rate is not one of metrics";
  EXPECT_EQ(metrics.fraction(), 1);
  const Scratch folder;
  for (const size_t jobs : {1, 2}) {
    std::FILE* out = std::fopen((folder / "out").c_str(), "w");
    {
      Progress progress(out, true, jobs, static_cast<double>(jobs));
      if (jobs == 2) {
        progress.start_job("b", "other", 1);
        progress.end_job("b", "done", true);
      }
      progress.start_job("a", "first", 1);
      progress.update("a", metrics);
      progress.redraw();
      progress.end_job("a", "done", true);
    }
    std::fclose(out);
    const std::string text = read_file(folder / "out");
    EXPECT_EQ(text.find(" left"), std::string::npos) << text;
    EXPECT_NE(text.find(", sampling at 3.0 images/s\n"), std::string::npos) << text;
  }
}

TEST(Progress, OneThingWithoutANameIsNotCounted) {
  EXPECT_EQ(describe(worker_progress_from_json(
                {{"done", 0}, {"total", 1}, {"phase", "waiting for a tuning"}})),
            "waiting for a tuning");
  EXPECT_EQ(describe(worker_progress_from_json(
                {{"done", 0}, {"total", 1}, {"phase", "sampling"}, {"unit", "images"}})),
            "sampling 0/1 images");
}

TEST(Progress, PreparingIsNoPartOfTheJob) {
  const WorkerProgress warming = worker_progress_from_json({{"done", 0},
                                                            {"total", 1},
                                                            {"piece", 1},
                                                            {"share", 0.5},
                                                            {"phase", "warming up"},
                                                            {"preparing", true},
                                                            {"seconds_left", 3}});
  EXPECT_EQ(describe(warming), "warming up 50 %");
  EXPECT_EQ(warming.fraction(), 0);
  EXPECT_EQ(warming.seconds_left, 0)
      << "else a job that has hours to go would count as nearly done";
}

TEST(Progress, TextsAreShortenedByCodePoints) {
  EXPECT_EQ(shortened("evaluate", 8), "evaluate");
  EXPECT_EQ(shortened("evaluate", 5), "eval…");
  EXPECT_EQ(shortened("äöüß", 3), "äö…");
  EXPECT_EQ(shortened("äöü", 3), "äöü");
}

TEST(Progress, TheLabelGivesWayToTheProgress) {
  const Scratch folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");
  {
    Progress progress(out, true, 1, 1);
    progress.start_job("a", "evaluate of a model and a strategy with " + std::string(80, 'x'), 1);
    progress.update("a", {1, 2, "sampling", 3.0});
    progress.redraw();
  }
  std::fclose(out);
  const std::string text = read_file(folder / "out");
  EXPECT_NE(text.find("…: sampling 1/2, 3.0 images/s, about "), std::string::npos) << text;
  EXPECT_NE(text.find(" left"), std::string::npos) << text;
}

TEST(Progress, ANarrowTerminalKeepsImagesRateAndTimeLeft) {
  const Scratch folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");  // 80 columns
  {
    Progress progress(out, true, 5, 5);
    progress.start_job("a", "evaluate model=small strategy=For cfg=0", 1);
    WorkerProgress inside{64, 256, "sampling", 3.0, 123};
    inside.piece = 64;
    inside.share = 0.237;
    inside.unit = "images";
    progress.update("a", inside);
    progress.redraw();
  }
  std::fclose(out);
  EXPECT_NE(read_file(folder / "out")
                .find("[1/5] evaluate mo…: sampling 30 %, 64/256 images ready, 3.0 images/s, 2:03 "
                      "left\n"),
            std::string::npos)
      << read_file(folder / "out");
}

TEST(Progress, Durations) {
  EXPECT_EQ(duration(0.44), "0.4 s");
  EXPECT_EQ(duration(59.99), "1:00");
  EXPECT_EQ(duration(65), "1:05");
  EXPECT_EQ(duration(7384), "2:03:04");
}

TEST(Progress, RemainingTimeNeedsSomethingDone) {
  EXPECT_FALSE(remaining_seconds(10, 0).has_value());
  EXPECT_DOUBLE_EQ(*remaining_seconds(10, 0.25), 30);
  EXPECT_DOUBLE_EQ(*remaining_seconds(10, 1.5), 0);
}

TEST(Progress, PlainLinesHaveNoControlCharacters) {
  const Scratch folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");
  {
    Progress progress(out, false, 2, 2);
    progress.start_job("a", "first", 1);
    progress.update("a", {1, 2, "sampling", 3.0});
    progress.redraw();
    progress.end_job("a", "done", true);
    progress.start_job("b", "second", 1);
  }
  std::fclose(out);
  const std::string text = read_file(folder / "out");
  EXPECT_EQ(text.find_first_of("\r\033"), std::string::npos);
  EXPECT_EQ(text.find("[1/2] first\n[1/2] first: done in "), 0u) << text;
  EXPECT_NE(text.find(", 3.0 images/s\n[2/2] second\n"), std::string::npos) << text;
}

TEST(Progress, TerminalLineIsOverwrittenAndRemoved) {
  const Scratch folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");
  {
    Progress progress(out, true, 1, 1);
    progress.start_job("a", "first", 1);
    progress.update("a", {1, 2, "sampling", 3.0});
    progress.redraw();
  }
  std::fclose(out);
  const std::string text = read_file(folder / "out");
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.find("[1/1] first: sampling 1/2, 3.0 images/s, about "), 0u) << text;
  EXPECT_TRUE(text.ends_with("\r\033[J"));
}

TEST(Progress, EveryRunningJobHasALine) {
  const Scratch folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");
  {
    Progress progress(out, true, 3, 3);
    progress.start_job("a", "first", 1);
    progress.start_job("b", "second", 1);
    progress.update("b", {1, 2, "", 0, 7});
    progress.redraw();
    progress.redraw();
  }
  std::fclose(out);
  const std::string text = read_file(folder / "out");
  EXPECT_NE(text.find("[1/3] first: 0.0 s so far"), std::string::npos) << text;
  EXPECT_NE(text.find("\n[2/3] second: 1/2, about 7.0 s left, "), std::string::npos) << text;
  EXPECT_NE(text.find(" so far\n0 of 3 jobs done, 2 running, "), std::string::npos) << text;
  EXPECT_NE(text.find("\r\033[2A\033[J[1/3] first"), std::string::npos) << "drawn over itself";
}

TEST(Progress, AFurtherAttemptKeepsItsNumber) {
  const Scratch folder;
  std::FILE* out = std::fopen((folder / "out").c_str(), "w");
  {
    Progress progress(out, false, 2, 2);
    progress.start_job("a", "first", 1);
    progress.end_job("a", "FAILED", false);
    progress.start_job("b", "second", 1);
    progress.start_job("a", "first", 1);
  }
  std::fclose(out);
  const std::string text = read_file(folder / "out");
  EXPECT_NE(text.find("[2/2] second\n[1/2] first\n"), std::string::npos) << text;
}

TEST(Device, ModelsAsTheSystemPrintsThem) {
  EXPECT_EQ(cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel name\t: other\n"),
            "Some CPU @ 2.0GHz");
  EXPECT_EQ(cpu_model("nothing of it"), "");
  EXPECT_EQ(gpu_model("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 10\n"),
            "NVIDIA H100 80GB HBM3");
  EXPECT_FALSE(device_model().empty());
}

}  // namespace
}  // namespace tarflow::job
