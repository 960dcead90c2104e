// make_checkpoint: writes an untrained TarFlow checkpoint of any shape, or lists what a checkpoint
// holds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/arguments.h"
#include "framework/core/error.h"
#include "framework/core/model_filename.h"
#include "framework/core/version.h"

namespace {

namespace checkpoint = tarflow::checkpoint;

void list(const std::filesystem::path& path, const std::string& weights) {
  const checkpoint::Checkpoint opened = checkpoint::Checkpoint::open(path);
  for (const checkpoint::TensorInfo& tensor : opened.tensors()) {
    fmt::print("{:<56} {:<9} {}\n", tensor.name, checkpoint::to_string(tensor.dtype),
               checkpoint::shape_str(tensor.shape));
  }
  try {
    const checkpoint::TarflowState state = checkpoint::as_tarflow(opened, weights);
    fmt::print("TarFlow{}: {}, {} parameters, noise_std {}\n",
               state.weights.empty() ? "" : " `" + state.weights + "`", state.shape.str(),
               state.shape.parameters(),
               state.shape.noise_std > 0 ? fmt::to_string(state.shape.noise_std) : "unknown");
  } catch (const tarflow::Error& error) {
    fmt::print("no TarFlow: {}\n", error.what());
  }
}

void write(const std::filesystem::path& path, const tarflow::ModelShape& shape, uint64_t seed,
           const std::string& dtype) {
  if (path.extension() == ".safetensors") {
    throw tarflow::Error(fmt::format("{}: only PyTorch's format is written", path.string()),
                         "end the name with .pth");
  }
  checkpoint::write_untrained(path, shape, seed, checkpoint::dtype_from_name(dtype).value());
  fmt::print("{}: untrained, {}, {} parameters, {}\n", path.string(), shape.str(),
             shape.parameters(), dtype);
  if (tarflow::parse_model_filename(path)) return;
  fmt::print(
      "its noise_std is not in the file: name it ..._model_{}_{}_{}_{}_{}.pth to have it read "
      "back\n",
      shape.patch_size, shape.channels, shape.blocks, shape.layers, shape.noise_std);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Writes an untrained TarFlow checkpoint (.pth) that PyTorch and this program read. What no "
      "option states is taken from a name DATASET_model_P_C_K_L_EPS.pth.");
  tarflow::ModelShape shape{.image_size = 32,
                            .patch_size = 4,
                            .channels = 128,
                            .blocks = 8,
                            .layers = 2,
                            .noise_std = 0.05};
  checkpoint::StatedShape stated;
  uint64_t seed = 0;
  std::string dtype = "bfloat16", out, listed, weights;
  const auto size = [&](const char* option, std::optional<int>& value, const char* what,
                        int otherwise) {
    app.add_option(option, value, fmt::format("{} (else by the name, or {})", what, otherwise));
  };
  app.add_option("--image-size", shape.image_size, "H = W, pixels")->capture_default_str();
  size("--patch-size", stated.patch_size, "P, pixels", shape.patch_size);
  size("--channels", stated.channels, "C, a multiple of 64", shape.channels);
  size("--blocks", stated.blocks, "K", shape.blocks);
  size("--layers", stated.layers, "L, attention layers a block", shape.layers);
  app.add_option("--classes", shape.classes, "0: unconditional")->capture_default_str();
  app.add_option("--noise-std", stated.noise_std,
                 fmt::format("noise level; kept by the file's name alone (else by the name, or {})",
                             shape.noise_std))
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", seed, "of the weights")->capture_default_str();
  app.add_option("--dtype", dtype, "of the weights")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  auto* list_option =
      app.add_option("--list", listed, "print the tensors of this checkpoint instead");
  app.add_option("--weights", weights, "with --list: which model of a file of several")
      ->needs(list_option);
  app.set_version_flag("--version", tarflow::version_text("make_checkpoint"),
                       "print version, git revision and variant of this program");
  auto* out_option = app.add_option("out", out, "the file to write");
  list_option->excludes(out_option);
  try {
    tarflow::require_plain_arguments(argc, argv);
  } catch (const tarflow::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  CLI11_PARSE(app, argc, argv);
  try {
    if (!listed.empty()) {
      list(listed, weights);
    } else if (!out.empty()) {
      const checkpoint::CompleteShape complete = checkpoint::complete_shape(out, stated, shape);
      if (!complete.warning.empty())
        fmt::print(stderr, "warning: {}; sweeps will refuse the file\n", complete.warning);
      write(out, complete.shape, seed, dtype);
    } else {
      throw tarflow::Error("nothing to do", "name the file to write, or --list FILE");
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}
