// Checkpoints as people have them, from the file to the images: a file of two models, wrapper
// names, safetensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/writer.h"
#include "framework/core/json.h"
#include "framework/record/dataset_file.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Checkpoints : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    checkpoint::write_untrained(folder_ / kOther, kToyShape, 1, checkpoint::DType::kFloat32);
  }

  // Writes the tensors of each file under the prefix it comes with.
  void join(const std::string& name, const std::map<std::string, std::string>& files) const {
    std::vector<checkpoint::TensorToWrite> tensors;
    for (const auto& [prefix, file] : files) {
      const checkpoint::Checkpoint source = checkpoint::Checkpoint::open(folder_ / file);
      for (const checkpoint::TensorInfo& tensor : source.tensors()) {
        const std::string key = tensor.name;
        tensors.push_back({prefix + key, tensor.dtype, tensor.shape,
                           [source, key] { return source.read_bytes(key); }});
      }
    }
    checkpoint::write_checkpoint(folder_ / name, tensors);
  }

  // The same tensors as a safetensors file, by its specification: the length of the header, the
  // header, the bytes of the tensors.
  void write_safetensors(const std::string& name, const std::string& file) const {
    const checkpoint::Checkpoint source = checkpoint::Checkpoint::open(folder_ / file);
    Json header;
    std::string data;
    for (const checkpoint::TensorInfo& tensor : source.tensors()) {
      const std::vector<std::byte> bytes = source.read_bytes(tensor.name);
      header[tensor.name] = {{"dtype", "F32"},
                             {"shape", tensor.shape},
                             {"data_offsets", {data.size(), data.size() + bytes.size()}}};
      data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    const std::string text = header.dump();
    const uint64_t length = text.size();
    std::string start(sizeof length, '\0');
    std::memcpy(start.data(), &length, sizeof length);
    write_file(folder_ / name, start + text + data);
  }

  // The images that the model of this name gives for the same noise.
  std::vector<double> images(const std::string& model) const {
    const record::SweepRecord sweep = run(sample_of(model));
    for (const record::Array& array : sweep.jobs.begin()->second.arrays) {
      if (array.path.starts_with("images/before_denoising")) return record::to_doubles(array);
    }
    throw std::out_of_range("images of " + model);
  }

  static std::string sample_of(const std::string& model) {
    return "  - sample: {model: " + model + ", num_images: 4, strategy: For}\n";
  }

  static constexpr const char* kOther = "other_model_2_64_2_1_0.10.pth";  // of another seed
};

TEST_F(Checkpoints, TheModelThatWeightsNamesIsSampled) {
  join("state.pt", {{"model.", kToyFile}, {"ema.", kOther}});
  models_ = "  other: {checkpoint: " + std::string(kOther) +
            "}\n"
            "  trained: {checkpoint: state.pt, weights: model, noise_std: 0.1}\n"
            "  averaged: {checkpoint: state.pt, weights: ema, noise_std: 0.1}\n";
  const std::vector<double> toy = images("toy"), other = images("other");
  ASSERT_NE(toy, other);
  EXPECT_EQ(images("trained"), toy);
  EXPECT_EQ(images("averaged"), other);
}

TEST_F(Checkpoints, BothModelsOfAFileInOneSweep) {
  join("state.pt", {{"model.", kToyFile}, {"ema.", kOther}});
  models_ =
      "  trained: {checkpoint: state.pt, weights: model, noise_std: 0.1}\n"
      "  averaged: {checkpoint: state.pt, weights: ema, noise_std: 0.1}\n";
  const record::SweepRecord sweep = run(sample_of("trained") + sample_of("averaged"));
  ASSERT_EQ(sweep.rows.size(), 2u);
  ASSERT_EQ(sweep.jobs.size(), 2u) << "the choice is part of a point's identity";
  std::vector<std::vector<double>> found;
  for (const auto& [id, job] : sweep.jobs) {
    for (const record::Array& array : job.arrays) {
      if (array.path.starts_with("images/before_denoising"))
        found.push_back(record::to_doubles(array));
    }
  }
  ASSERT_EQ(found.size(), 2u);
  EXPECT_NE(found[0], found[1]);
}

TEST_F(Checkpoints, WithoutAChoiceTheModelsAreListed) {
  join("state.pt", {{"model.", kToyFile}, {"ema.", kOther}});
  models_ = "  open: {checkpoint: state.pt, noise_std: 0.1}\n";
  EXPECT_NE(wait(start(sample_of("open"))), 0);
  EXPECT_THAT(read_file(folder_ / "log"), AllOf(HasSubstr("state.pt"), HasSubstr("model"),
                                                HasSubstr("ema"), HasSubstr("weights")));
  EXPECT_FALSE(fs::exists(folder_ / "results/toy.h5"));
}

TEST_F(Checkpoints, WrappersAndSafetensorsChangeNothing) {
  join("wrapped.pt", {{"module._orig_mod.", kToyFile}});
  write_safetensors("toy_model_2_64_2_1_0.10.safetensors", kToyFile);
  write_safetensors("own_name.safetensors", "wrapped.pt");
  models_ =
      "  wrapped: {checkpoint: wrapped.pt, noise_std: 0.1}\n"
      "  named: {checkpoint: toy_model_2_64_2_1_0.10.safetensors}\n"
      "  both: {checkpoint: own_name.safetensors, noise_std: 0.1}\n";
  const std::vector<double> toy = images("toy");
  for (const char* model : {"wrapped", "named", "both"}) EXPECT_EQ(images(model), toy) << model;
}

}  // namespace
}  // namespace tarflow::experiments
