// Sweeps for the tests of this room: schemas built by hand, files in a folder of their own.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "framework/sweep/sweep.h"

namespace tarflow::sweep {

inline Field make_field(std::string name, FieldType type) {
  Field field;
  field.description = "the " + name;
  field.name = std::move(name);
  field.type = type;
  return field;
}

inline Field with_default(Field field, Json value) {
  field.default_value = std::move(value);
  return field;
}

inline Field in_range(Field field, std::optional<double> minimum, std::optional<double> maximum) {
  field.minimum = minimum;
  field.maximum = maximum;
  return field;
}

inline Field required(Field field) {
  field.required = true;
  return field;
}

// `evaluate` with fields of every type, and `measure` with few.
inline ExperimentSchemas test_schemas() {
  using enum FieldType;
  ExperimentSchema evaluate;
  evaluate.name = "evaluate";
  evaluate.revision = 2;
  evaluate.ranks = true;
  Field lr = with_default(in_range(make_field("self_denoising_lr", kNumber), 0, {}), 0.0);
  lr.shared = true;
  Field images = make_field("images", kPath);
  images.identity = Identity::kContent;
  Field kept = with_default(in_range(make_field("keep_images", kInteger), 0, {}), 64);
  kept.identity = Identity::kNone;
  Field guess_images = make_field("guess_images", kPath);
  guess_images.identity = Identity::kContent;
  guess_images.file = FileKind::kImages;
  Field norm = with_default(make_field("norm", kChoice), "all");
  norm.choices = {"all", "2", "1", "fro"};
  Field strategy = required(make_field("strategy", kStrategy));
  strategy.tuned = true;
  evaluate.fields = {required(make_field("model", kModel)),
                     strategy,
                     guess_images,
                     with_default(in_range(make_field("guess_num_images", kInteger), 0, {}), 1000),
                     with_default(in_range(make_field("cfg", kNumber), 0, {}), 0.0),
                     with_default(in_range(make_field("attn_temp", kNumber), 1e-3, 10), 1.0),
                     lr,
                     with_default(in_range(make_field("num_images", kInteger), 1, 1e6), 256),
                     in_range(make_field("batch", kInteger), 1, {}),
                     with_default(make_field("seed", kInteger), 0),
                     images,
                     kept,
                     norm,
                     make_field("note", kString),
                     with_default(make_field("exact", kBoolean), false),
                     in_range(make_field("classes_kept", kIntegerList), 0, 9),
                     make_field("scales", kNumberList)};
  ExperimentSchema measure;
  measure.name = "measure";
  measure.fields = {required(make_field("model", kModel)), required(images),
                    with_default(make_field("strategy", kStrategy), "For"),
                    with_default(in_range(make_field("num_images", kInteger), 1, {}), 100)};
  return {evaluate, measure};
}

class SweepTest : public ::testing::Test {
 protected:
  SweepTest() {
    static std::atomic<int> count{0};
    folder_ = std::filesystem::temp_directory_path() /
              fmt::format("tarflow_sweep_{}_{}", ::getpid(), count.fetch_add(1));
    std::filesystem::create_directories(folder_);
  }
  ~SweepTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = folder_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::remove(
        file);  // some file systems sync a file that is truncated and written again
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

  Sweep load(const std::string& text) const {
    return load_sweep(write("test.yaml", text), test_schemas(), {.allow_missing = true});
  }

  // "line:column what" of everything that is wrong, in the order of the file.
  std::vector<std::string> errors(const std::string& text, bool allow_missing = true) const {
    try {
      load_sweep(write("test.yaml", text), test_schemas(), {.allow_missing = allow_missing});
    } catch (const Error& error) {
      std::vector<std::string> found;
      for (const Problem& problem : error.problems()) {
        found.push_back(
            fmt::format("{}:{} {}", problem.place.line, problem.place.column, problem.what));
        repairs_.push_back(problem.repair);
        // Every place has its line, and a caret under its column.
        EXPECT_EQ(problem.place.file, (folder_ / "test.yaml").string());
        if (problem.place.line > 0 && problem.place.column < 160) {
          EXPECT_LE(problem.place.column, static_cast<int>(problem.source_line.size()) + 1)
              << problem.str();
        }
      }
      return found;
    }
    return {};
  }

  std::filesystem::path folder_;
  mutable std::vector<std::string> repairs_;  // of the problems that errors() found
};

// Two models of 8 blocks and 64 tokens, and of 4 blocks and 16 tokens; their files are absent.
inline const char* const kModels =
    "models:\n"
    "  m: {checkpoint: x_model_4_128_8_2_0.05.pth, image_size: 32, classes: 10}\n"
    "  small: {checkpoint: y_model_8_64_4_2_0.1.pth, image_size: 32, classes: 0}\n";

// `settings` below `evaluate:` (6 spaces of indentation in every line), with model m and strategy
// For unless it names others. Line 7 is the first of `settings`.
inline std::string evaluate_with(const std::string& settings) {
  std::string text =
      std::string(kModels) + "defaults: {model: m, strategy: For}\nexperiments:\n  - evaluate:\n";
  return text + settings;
}

}  // namespace tarflow::sweep
