#include "framework/core/shape.h"

#include <fmt/format.h>

#include "framework/core/error.h"

namespace tarflow {

EvaluationCost& EvaluationCost::operator+=(const EvaluationCost& other) {
  linear_flops += other.linear_flops;
  attention_flops += other.attention_flops;
  weight_bytes += other.weight_bytes;
  cache_bytes += other.cache_bytes;
  return *this;
}

EvaluationCost operator*(EvaluationCost cost, double times) {
  return {cost.linear_flops * times, cost.attention_flops * times, cost.weight_bytes * times,
          cost.cache_bytes * times};
}

EvaluationCost ModelShape::evaluation_cost(int64_t first, int64_t last, int64_t rows,
                                           int element) const {
  const double c = channels, n = static_cast<double>(last - first), b = static_cast<double>(rows);
  const double keys = static_cast<double>(first) + (n + 1) / 2;  // that a query sees, in the mean
  const double weights = layers * 12 * c * c + 3 * c * token_width();  // elements
  EvaluationCost cost;
  cost.linear_flops = 2 * weights * n * b;
  cost.attention_flops = layers * 4 * keys * c * n * b;
  cost.weight_bytes = weights * element;
  cost.cache_bytes = layers * 2 * c * b * element * (static_cast<double>(last) + n);
  return cost;
}

double ModelShape::block_flops_per_token(double keys) const {
  const double c = channels;
  const double layer =
      2 * 12 * c * c + 4 * keys * c;              // qkv 3, proj 1, mlp 8 of C x C; then QK and PV
  const double ends = 2 * c * token_width() * 3;  // proj_in D x C and proj_out C x 2D
  return layers * layer + ends;
}

int64_t ModelShape::parameters() const {
  const int64_t c = channels, d = token_width(), t = tokens();
  const int64_t layer = 12 * c * c + 13 * c;  // weights; biases 3 + 1 + 4 + 1 and two norms of 2
  const int64_t block =
      d * c + c + t * c + int64_t{classes} * c + layers * layer + output_width() * (c + 1);
  return blocks * block;
}

std::string ModelShape::str() const {
  return fmt::format("{}px P{} C{} K{} L{}, {}{}{}", image_size, patch_size, channels, blocks,
                     layers, classes ? fmt::format("{} classes", classes) : "unconditional",
                     colours == 1 ? ", grey" : "", volume_preserving ? ", volume-preserving" : "");
}

Json to_json(const ModelShape& shape) {
  Json json = {{"image_size", shape.image_size}, {"patch_size", shape.patch_size},
               {"channels", shape.channels},     {"blocks", shape.blocks},
               {"layers", shape.layers},         {"classes", shape.classes},
               {"noise_std", shape.noise_std}};
  // What most models are is not said.
  if (shape.colours != 3) json["colours"] = shape.colours;
  if (shape.volume_preserving) json["volume_preserving"] = true;
  return json;
}

ModelShape shape_from_json(const Json& json) {
  try {
    ModelShape shape;
    shape.image_size = json.at("image_size").get<int>();
    shape.patch_size = json.at("patch_size").get<int>();
    shape.channels = json.at("channels").get<int>();
    shape.blocks = json.at("blocks").get<int>();
    shape.layers = json.at("layers").get<int>();
    shape.classes = json.at("classes").get<int>();
    shape.noise_std = json.at("noise_std").get<double>();
    shape.colours = json.value("colours", 3);
    shape.volume_preserving = json.value("volume_preserving", false);
    return shape;
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("not a model shape: {}", failure.what()));
  }
}

}  // namespace tarflow
