// make_checkpoint: writes an untrained TarFlow checkpoint of any shape, or lists what a checkpoint
// holds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/untrained.h"
#include "framework/core/arguments.h"
#include "framework/core/error.h"

namespace {

namespace checkpoint = tarflow::checkpoint;

void list(const std::filesystem::path& path) {
  const checkpoint::Checkpoint opened = checkpoint::Checkpoint::open(path);
  for (const checkpoint::TensorInfo& tensor : opened.tensors()) {
    fmt::print("{:<56} {:<9} {}\n", tensor.name, checkpoint::to_string(tensor.dtype),
               checkpoint::shape_str(tensor.shape));
  }
  try {
    const tarflow::ModelShape shape = checkpoint::as_tarflow(opened).shape;
    fmt::print("TarFlow: {}, {} parameters, noise_std {}\n", shape.str(), shape.parameters(),
               shape.noise_std > 0 ? fmt::to_string(shape.noise_std) : "unknown");
  } catch (const tarflow::Error& error) {
    fmt::print("no TarFlow: {}\n", error.what());
  }
}

void write(const std::filesystem::path& path, const tarflow::ModelShape& shape, uint64_t seed,
           const std::string& dtype) {
  checkpoint::write_untrained(path, shape, seed, checkpoint::dtype_from_name(dtype).value());
  fmt::print("{}: untrained, {}, {} parameters, {}\n", path.string(), shape.str(),
             shape.parameters(), dtype);
  const auto name = checkpoint::parse_model_filename(path);
  if (name && name->noise_std == shape.noise_std) return;
  fmt::print(
      "its noise_std is not in the file: name it ..._model_{}_{}_{}_{}_{}.pth to have it read "
      "back\n",
      shape.patch_size, shape.channels, shape.blocks, shape.layers, shape.noise_std);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes an untrained TarFlow checkpoint (.pth) that PyTorch and this program read.");
  tarflow::ModelShape shape{
      .image_size = 32, .patch_size = 4, .channels = 128, .blocks = 8, .layers = 2};
  shape.noise_std = 0.05;
  uint64_t seed = 0;
  std::string dtype = "bfloat16", out, listed;
  app.add_option("--image-size", shape.image_size, "H = W, pixels")->capture_default_str();
  app.add_option("--patch-size", shape.patch_size, "P, pixels")->capture_default_str();
  app.add_option("--channels", shape.channels, "C, a multiple of 64")->capture_default_str();
  app.add_option("--blocks", shape.blocks, "K")->capture_default_str();
  app.add_option("--layers", shape.layers, "L, attention layers a block")->capture_default_str();
  app.add_option("--classes", shape.classes, "0: unconditional")->capture_default_str();
  app.add_option("--noise-std", shape.noise_std, "noise level; kept by the file's name alone")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seed", seed, "of the weights")->capture_default_str();
  app.add_option("--dtype", dtype, "of the weights")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  auto* list_option =
      app.add_option("--list", listed, "print the tensors of this checkpoint instead");
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
      list(listed);
    } else if (!out.empty()) {
      write(out, shape, seed, dtype);
    } else {
      throw tarflow::Error("nothing to do", "name the file to write, or --list FILE");
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}
