// Checkpoints as sweeps name them: missing ones, names against tensors, one model of several.
#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/writer.h"
#include "framework/sweep/paths.h"
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const ModelShape kTiny{8, 2, 64, 2, 1, 0, 0};

class ModelsTest : public SweepTest {
 protected:
  // State dicts of zeros, each of its shape below its prefix.
  void write_models(const std::string& name,
                    const std::vector<std::pair<std::string, ModelShape>>& models) const {
    std::vector<checkpoint::TensorToWrite> tensors;
    for (const auto& [prefix, shape] : models) {
      for (const checkpoint::ExpectedTensor& expected : checkpoint::expected_tensors(shape)) {
        size_t bytes = 4;
        for (const int64_t side : expected.shape) bytes *= static_cast<size_t>(side);
        tensors.push_back({prefix + expected.name, checkpoint::DType::kFloat32, expected.shape,
                           [bytes] { return std::vector<std::byte>(bytes); }});
      }
    }
    checkpoint::write_checkpoint(folder_ / name, tensors);
  }

  static std::string sweep_of(const std::string& model) {
    return "models:\n  m: {checkpoint: " + model +
           "}\nexperiments:\n  - evaluate: {model: m, strategy: For}\n";
  }
};

TEST_F(ModelsTest, AMissingCheckpointIsNamedWithThePathThatMayHaveBeenMeant) {
  const std::string right = "checkpoints/demo_run_model_2_64_2_1_0.05.pth";
  write_models(right, {{"", kTiny}});
  for (const char* wrong :
       {"checkpoint/demo_run_model_2_64_2_1_0.05.pth",
        "checkpoints/demo_rum_model_2_64_2_1_0.05.pth",
        "chekpoints/demo_run_model_2_64_2_1_0.5.pth", "demo_run_model_2_64_2_1_0.05.pth",
        "checkpoints/demo_run_model_2_64_2_1_0.05.safetensors",
        "runs/demo_run_model_2_64_2_1_0.05.pth", "checkpoints/demo_run_model_2_64_2_1_0.05 (1).pth",
        "Checkpoints/Demo_run_model_2_64_2_1_0.05.PTH"}) {
    EXPECT_THAT(errors(sweep_of(wrong)),
                ElementsAre("2:19 the checkpoint of model `m` is missing: " + std::string(wrong)));
    EXPECT_THAT(repairs_.back(), AllOf(StartsWith("did you mean `"), HasSubstr(right + "`?"),
                                       HasSubstr("put it into one of ")))
        << wrong;
  }
  // Another model of the same numbers is no better guess, wherever it lies.
  write("other_model_2_64_2_1_0.05.pth", "");
  errors(sweep_of("demo_run_model_2_64_2_1_0.05.pth"));
  EXPECT_THAT(repairs_.back(), HasSubstr(right + "`?"));
  errors(sweep_of("third_model_2_64_2_1_0.05.pth"));
  EXPECT_THAT(repairs_.back(), StartsWith("put it into"));
  const std::string absolute = (folder_ / "checkpoint/demo_run_model_2_64_2_1_0.05.pth").string();
  errors(sweep_of(absolute));
  EXPECT_THAT(repairs_.back(), HasSubstr(right));
  errors(sweep_of("x.p"));  // as near to any short name
  EXPECT_THAT(repairs_.back(), StartsWith("put it into"));
  EXPECT_THAT(errors(sweep_of("nothing_like_it.pth")), ElementsAre(HasSubstr("is missing")));
  EXPECT_THAT(repairs_.back(), StartsWith("put it into"));
}

TEST_F(ModelsTest, ANameThatContradictsTheTensorsIsRefusedAlsoWhereNoiseIsStated) {
  write_models("x_model_4_64_3_1_0.05.pth", {{"", kTiny}});
  for (const char* stated : {"", ", noise_std: 0.05", ", blocks: 2, noise_std: 0.05"}) {
    EXPECT_THAT(errors(sweep_of(std::string("x_model_4_64_3_1_0.05.pth") + stated)),
                ElementsAre(AllOf(HasSubstr("patch_size: 4 by its name, 2 by its tensors"),
                                  HasSubstr("blocks: 3 by its name, 2 by its tensors"))))
        << stated;
  }
}

TEST_F(ModelsTest, AllContradictionsAreToldAtOnce) {
  write_models("x_model_2_64_3_1_0.05.pth", {{"", kTiny}});
  EXPECT_THAT(
      errors(sweep_of("x_model_2_64_3_1_0.05.pth, image_size: 16, layers: 4, noise_std: 0.1")),
      ElementsAre(AllOf(StartsWith("2:19"), HasSubstr("blocks: 3 by its name, 2 by its tensors")),
                  "2:58 `image_size` is 16, but the checkpoint says 8",
                  "2:70 `layers` is 4, but the checkpoint says 1",
                  "2:84 `noise_std` is 0.1, but the file's name says 0.05"));
}

TEST_F(ModelsTest, CopiesAndOtherEndingsTellTheNoise) {
  for (const char* name : {"x_model_2_64_2_1_0.05 (1).pth", "x_model_2_64_2_1_0.05.pt"}) {
    write_models(name, {{"", kTiny}});
    EXPECT_EQ(load(sweep_of(name)).models.at("m").shape.noise_std, 0.05) << name;
  }
}

TEST_F(ModelsTest, WeightsChooseAModelOfSeveral) {
  ModelShape deep = kTiny;
  deep.layers = 2;
  write_models("state.pt", {{"model.", kTiny}, {"state_dict.ema.module.", deep}});
  EXPECT_THAT(errors(sweep_of("state.pt, noise_std: 0.1")),
              ElementsAre(AllOf(StartsWith("2:19"), HasSubstr("holds 2 models: `model` ("),
                                HasSubstr("`weights: state_dict.ema`"))));
  const Model ema = load(sweep_of("state.pt, noise_std: 0.1, weights: ema")).models.at("m");
  EXPECT_EQ(ema.weights, "state_dict.ema");
  EXPECT_EQ(ema.shape.layers, 2);
  EXPECT_EQ(load(sweep_of("state.pt, noise_std: 0.1, weights: model")).models.at("m").weights,
            "model");
  EXPECT_THAT(errors(sweep_of("state.pt, noise_std: 0.1, weights: emma")),
              ElementsAre(AllOf(StartsWith("2:54"), HasSubstr("`weights: emma`"))));
}

TEST_F(ModelsTest, TheOnlyModelNeedsNoChoice) {
  write_models("x_model_2_64_2_1_0.05.pth", {{"ema.", kTiny}});
  EXPECT_EQ(load(sweep_of("x_model_2_64_2_1_0.05.pth, weights: ema")).models.at("m").weights, "");
  EXPECT_THAT(errors("models:\n  m: {random_weights: 0, weights: ema, checkpoint: "
                     "x_model_2_64_2_1_0.05.pth, image_size: 8, classes: 0}\n"
                     "experiments:\n  - evaluate: {model: m, strategy: For}\n"),
              ElementsAre(HasSubstr("`weights` chooses from a checkpoint")));
}

TEST_F(ModelsTest, AFolderIsNoCheckpoint) {
  std::filesystem::create_directories(folder_ / "models/run_17");
  EXPECT_THAT(errors(sweep_of("run_17")), ElementsAre(HasSubstr("it is a folder")));
}

TEST_F(ModelsTest, OtherPathsAreFoundInTheSameWay) {
  write("data/pictures/a.png", "x");
  write_models("x_model_2_64_2_1_0.05.pth", {{"", kTiny}});
  EXPECT_THAT(errors("models:\n  m: {checkpoint: x_model_2_64_2_1_0.05.pth}\n"
                     "experiments:\n  - measure: {model: m, images: picturs}\n",
                     /*allow_missing=*/false),
              ElementsAre(HasSubstr("`images` is missing: picturs")));
  EXPECT_THAT(repairs_.back(), AllOf(StartsWith("did you mean `"), HasSubstr("data/pictures")));
}

}  // namespace
}  // namespace tarflow::sweep
