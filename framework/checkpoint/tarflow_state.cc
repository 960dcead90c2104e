#include "framework/checkpoint/tarflow_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "framework/checkpoint/tarflow_probe.h"
#include "framework/core/error.h"
#include "framework/core/model_filename.h"

namespace tarflow::checkpoint {
namespace {

// How many different numbers follow `prefix`: with "blocks.", those of "blocks.0.x" and
// "blocks.1.y". Numbers that leave gaps then show up as missing and unexpected tensors.
int count_numbered(const Checkpoint& state, std::string_view prefix) {
  std::set<std::string, std::less<>> numbers;
  for (const TensorInfo& tensor : state.tensors()) {
    std::string_view name = tensor.name;
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    const std::string_view part = name.substr(0, name.find('.'));
    if (!part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos)
      numbers.emplace(part);
  }
  return static_cast<int>(numbers.size());
}

int64_t exact_root(int64_t square) {
  const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(square))));
  return root * root == square ? root : 0;
}

// The shape of a tensor that must be there with `dimensions` sides, each of which fits an int and
// is not 0.
std::vector<int64_t> sides(const Checkpoint& state, const std::string& name, size_t dimensions) {
  const TensorInfo* tensor = state.find(name);
  if (!tensor) {
    throw Error(fmt::format("{} has no tensor {}", state.path().string(), name), kNotTarflow);
  }
  bool possible = tensor->shape.size() == dimensions;
  for (const int64_t side : tensor->shape) {
    possible = possible && side > 0 && side < std::numeric_limits<int>::max() / 4;
  }
  if (!possible) {
    throw Error(fmt::format("{}: the tensor {} has the shape {}, which no TarFlow has",
                            state.path().string(), name, shape_str(tensor->shape)),
                kNotTarflow);
  }
  return tensor->shape;
}

std::string problem_of(const ExpectedTensor& expected, const TensorInfo* found) {
  if (!found) {
    return expected.required
               ? fmt::format("missing: {}, expected {}", expected.name, shape_str(expected.shape))
               : "";
  }
  if (found->shape != expected.shape) {
    return fmt::format("wrong shape: {}, expected {}, found {}", expected.name,
                       shape_str(expected.shape), shape_str(found->shape));
  }
  if (expected.required && !is_floating(found->dtype)) {
    return fmt::format("wrong type: {}, expected floating point, found {}", expected.name,
                       to_string(found->dtype));
  }
  return "";
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelShape& shape) {
  const int64_t t = shape.tokens(), d = shape.token_width(), c = shape.channels;
  std::vector<ExpectedTensor> tensors = {{"var", {t, d}}};
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    tensors.push_back({name + ".weight", {out, in}});
    tensors.push_back({name + ".bias", {out}});
  };
  const auto norm = [&](const std::string& name) {
    tensors.push_back({name + ".weight", {c}});
    tensors.push_back({name + ".bias", {c}});
  };
  for (int b = 0; b < shape.blocks; ++b) {
    const std::string block = fmt::format("blocks.{}.", b);
    tensors.push_back({block + "pos_embed", {t, c}});
    if (shape.classes > 0) tensors.push_back({block + "class_embed", {shape.classes, 1, c}});
    tensors.push_back({block + "attn_mask", {t, t}, false});
    linear(block + "proj_in", c, d);
    for (int l = 0; l < shape.layers; ++l) {
      const std::string layer = fmt::format("{}attn_blocks.{}.", block, l);
      norm(layer + "attention.norm");
      linear(layer + "attention.qkv", 3 * c, c);
      linear(layer + "attention.proj", c, c);
      norm(layer + "mlp.norm");
      linear(layer + "mlp.main.0", 4 * c, c);
      linear(layer + "mlp.main.2", c, 4 * c);
    }
    linear(block + "proj_out", shape.output_width(), c);
  }
  return tensors;
}

ModelShape read_model_shape(const Checkpoint& state) {
  const std::string file = state.path().string();
  const std::vector<int64_t> proj_in = sides(state, kProbe, 2);
  const int64_t channels = proj_in[0], width = proj_in[1];
  const int64_t tokens = sides(state, "blocks.0.pos_embed", 2)[0];
  // No number is both P^2 and 3 P^2.
  const int64_t grey = exact_root(width), coloured = width % 3 ? 0 : exact_root(width / 3);
  const int64_t patch = grey ? grey : coloured, grid = exact_root(tokens);
  if (!patch) {
    throw Error(fmt::format("{}: {} takes {} values a token, which is neither 3 P^2 nor P^2", file,
                            kProbe, width),
                kNotTarflow);
  }
  if (!grid) {
    throw Error(fmt::format("{}: blocks.0.pos_embed has {} tokens, which make no square image",
                            file, tokens),
                "only models of square images are supported");
  }
  if (channels % kHeadWidth) {
    throw Error(
        fmt::format("{}: {} channels do not split into heads of {}", file, channels, kHeadWidth),
        kNotTarflow);
  }
  ModelShape shape;
  shape.patch_size = static_cast<int>(patch);
  shape.image_size = static_cast<int>(patch * grid);
  shape.channels = static_cast<int>(channels);
  shape.colours = grey ? 1 : 3;
  shape.volume_preserving = sides(state, "blocks.0.proj_out.weight", 2)[0] == width;
  shape.blocks = count_numbered(state, "blocks.");
  shape.layers = count_numbered(state, "blocks.0.attn_blocks.");
  if (!shape.layers || static_cast<size_t>(shape.blocks) * shape.layers > state.tensors().size()) {
    throw Error(
        fmt::format("{}: {} blocks of {} layers, as their names say, do not make up its {} tensors",
                    file, shape.blocks, shape.layers, state.tensors().size()),
        kNotTarflow);
  }
  if (state.find("blocks.0.class_embed")) {
    shape.classes = static_cast<int>(sides(state, "blocks.0.class_embed", 3)[0]);
  }
  if (const auto name = parse_model_filename(state.path())) shape.noise_std = name->noise_std;
  return shape;
}

void check_state(const Checkpoint& state, const ModelShape& shape) {
  std::vector<Problem> problems;
  const auto add = [&](const std::string& what) {
    if (what.empty()) return;
    Problem problem;
    problem.what = "  " + what;
    problems.push_back(std::move(problem));
  };
  std::set<std::string> known;
  for (const ExpectedTensor& expected : expected_tensors(shape)) {
    known.insert(expected.name);
    add(problem_of(expected, state.find(expected.name)));
  }
  for (const TensorInfo& tensor : state.tensors()) {
    if (known.contains(tensor.name)) continue;
    add(fmt::format("unexpected: {}, found {}", tensor.name, shape_str(tensor.shape)));
  }
  if (problems.empty()) return;
  Problem heading;
  heading.what = fmt::format("{} is not a TarFlow of {}: {} of its tensors are wrong",
                             state.path().string(), shape.str(), problems.size());
  problems.insert(problems.begin(), heading);
  problems.back().repair = kNotTarflow;
  throw Error(std::move(problems));
}

void check_name(const std::filesystem::path& path, const ModelShape& shape) {
  const auto name = parse_model_filename(path);
  if (!name) return;
  const std::vector<std::string> differing = name_contradictions(*name, shape, "its tensors");
  if (differing.empty()) return;
  throw Error(fmt::format("{}: the file's name and its tensors differ in {}", path.string(),
                          fmt::join(differing, "; ")),
              "get the right file, or rename this one: DATASET_model_P_C_K_L_EPS.pth");
}

TarflowState as_tarflow(const Checkpoint& checkpoint, std::string_view weights) {
  FoundState state = find_state(checkpoint, weights);
  const ModelShape shape = read_model_shape(state.tensors);
  // A block that is missing shows in both: what the name says is the simpler message.
  check_name(checkpoint.path(), shape);
  check_state(state.tensors, shape);
  return {std::move(state.tensors), shape, std::move(state.weights)};
}

TarflowState open_tarflow(const std::filesystem::path& path, std::string_view weights) {
  return as_tarflow(Checkpoint::open(path), weights);
}

}  // namespace tarflow::checkpoint
