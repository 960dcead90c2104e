#include "framework/metrics/inception.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/core/error.h"
#include "framework/core/hash.h"

namespace tarflow::metrics {
namespace {

// Along one axis: the two sources of each destination, and the share of the upper.
struct Taps {
  at::Tensor lower, upper;  // (side) int64
  at::Tensor share;         // (side) float32
};

Taps taps(int64_t size, int64_t side, const at::Device& device) {
  const double scale = static_cast<double>(size) / static_cast<double>(side);
  const at::Tensor source = at::arange(side, at::kFloat).mul(static_cast<float>(scale));
  const at::Tensor lower = source.to(at::kLong);
  return {lower.to(device), (lower + 1).clamp_max(size - 1).to(device),
          (source - lower.to(at::kFloat)).to(device)};
}

// lower + (upper - lower) * share, as three roundings.
at::Tensor mix(const at::Tensor& lower, at::Tensor upper, const at::Tensor& share) {
  return upper.sub_(lower).mul_(share).add_(lower);
}

at::Tensor average_pool(const at::Tensor& x) {
  return at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false,
                        /*count_include_pad=*/false);
}

at::Tensor max_pool(const at::Tensor& x, int64_t stride, int64_t padding) {
  return at::max_pool2d(x, {3, 3}, {stride, stride}, {padding, padding});
}

// Reads a layer's five tensors and gathers what is wrong with them.
class Reader {
 public:
  explicit Reader(const checkpoint::Checkpoint& file) : file_(file) {}

  // Undefined when there is something wrong, which `require_all` then reports.
  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape) {
    const checkpoint::TensorInfo* info = file_.find(name);
    if (!info) return wrong(fmt::format("{} is missing", name));
    if (info->shape != shape) {
      return wrong(fmt::format("{} has shape {} instead of {}", name,
                               checkpoint::shape_str(info->shape), checkpoint::shape_str(shape)));
    }
    std::vector<float> values = file_.read_f32(name);
    const at::Tensor tensor = at::tensor(values).view(shape);
    if (!at::isfinite(tensor).all().item<bool>())
      return wrong(fmt::format("{} holds values that are not finite", name));
    hash_.update(fmt::format("{} {}\n", name, checkpoint::shape_str(shape)));
    hash_.update(values.data(), values.size() * sizeof(float));
    return tensor;
  }

  at::Tensor read_variance(const std::string& name, const std::vector<int64_t>& shape) {
    const at::Tensor variance = read(name, shape);
    if (variance.defined() && variance.lt(0).any().item<bool>())
      return wrong(fmt::format("{} holds negative variances", name));
    return variance;
  }

  void require_all() const {
    if (problems_.empty()) return;
    constexpr size_t kNamed = 20;
    std::vector<Problem> problems(
        problems_.begin(),
        problems_.begin() + static_cast<ptrdiff_t>(std::min(problems_.size(), kNamed)));
    Problem& all = problems.emplace_back();
    all.what = fmt::format(
        "{} does not hold the Inception-v3 of the FID: {} tensors are missing "
        "or wrong",
        file_.path().string(), problems_.size());
    all.repair = "use the file as torch-fidelity publishes it, or as its state_dict() is saved";
    throw Error(std::move(problems));
  }

  std::string hash() { return hash_.hex(); }

 private:
  at::Tensor wrong(std::string what) {
    Problem problem;
    problem.what = std::move(what);
    problems_.push_back(std::move(problem));
    return {};
  }

  const checkpoint::Checkpoint& file_;
  Sha256 hash_;
  std::vector<Problem> problems_;
};

struct Folded {
  at::Tensor weight, bias;  // float32; undefined when a tensor was wrong
};

// gamma (w x - mean) / sqrt(variance + eps) + beta as one convolution, folded in float64.
Folded folded_layer(Reader& reader, const InceptionLayer& layer) {
  constexpr double kEpsilon = 1e-3;
  const std::vector<int64_t> channels = {layer.out};
  const at::Tensor weight = reader.read(layer.name + ".conv.weight",
                                        {layer.out, layer.in, layer.height, layer.width}),
                   gamma = reader.read(layer.name + ".bn.weight", channels),
                   beta = reader.read(layer.name + ".bn.bias", channels),
                   mean = reader.read(layer.name + ".bn.running_mean", channels),
                   variance = reader.read_variance(layer.name + ".bn.running_var", channels);
  if (!weight.defined() || !gamma.defined() || !beta.defined() || !mean.defined() ||
      !variance.defined())
    return {};
  const at::Tensor scale = gamma.to(at::kDouble) / (variance.to(at::kDouble) + kEpsilon).sqrt();
  return {(weight.to(at::kDouble) * scale.view({-1, 1, 1, 1})).to(at::kFloat),
          (beta.to(at::kDouble) - mean.to(at::kDouble) * scale).to(at::kFloat)};
}

}  // namespace

at::Tensor tensorflow_resize(const at::Tensor& images, int64_t side) {
  const Taps x = taps(images.size(3), side, images.device()),
             y = taps(images.size(2), side, images.device());
  const at::Tensor pixels = images.to(at::kFloat);
  // Columns first: picking rows commutes with it and costs less afterwards.
  const at::Tensor columns =
      mix(pixels.index_select(3, x.lower), pixels.index_select(3, x.upper), x.share);
  return mix(columns.index_select(2, y.lower), columns.index_select(2, y.upper),
             y.share.unsqueeze(1));
}

bool Inception::is_in(const checkpoint::Checkpoint& file, const std::string& prefix) {
  return file.find(prefix + inception_layers().front().name + ".conv.weight") != nullptr;
}

Inception Inception::load(const checkpoint::Checkpoint& file, const at::Device& device,
                          Precision precision) {
  c10::NoGradGuard no_grad;
  Inception net;
  net.device_ = device;
  net.precision_ = precision;
  const auto type = precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
  Reader reader(file);
  for (const InceptionLayer& layer : inception_layers()) {
    const Folded folded = folded_layer(reader, layer);
    if (!folded.weight.defined()) continue;
    const int64_t pad_y = layer.padded ? layer.height / 2 : 0,
                  pad_x = layer.padded ? layer.width / 2 : 0;
    net.layers_[layer.name] = {
        folded.weight.to(device, type).contiguous(at::MemoryFormat::ChannelsLast),
        folded.bias.to(device, type),
        {layer.stride, layer.stride},
        {pad_y, pad_x}};
  }
  reader.require_all();
  net.weights_sha256_ = reader.hash();
  net.fused_ = device.is_cuda();
  net.fused_ = net.fused_ && net.runs();
  return net;
}

// Whether fused convolutions run on this GPU with this type.
bool Inception::runs() const {
  try {
    features(at::full({1, 3, 8, 8}, 128, at::kByte));
    return true;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    return false;
  }
}

at::Tensor Inception::layer(const std::string& name, const at::Tensor& x) const {
  return kernels::convolution_relu(x, layers_.at(name), fused_);
}

at::Tensor Inception::chain(const std::string& block, const std::vector<std::string>& names,
                            const at::Tensor& x) const {
  at::Tensor y = x;
  for (const std::string& name : names) y = layer(block + "." + name, y);
  return y;
}

// TensorFlow's average pool does not count its padding, so its weights add up to 1 everywhere, and
// pool and 1 x 1 convolution (bias included) commute: pooling afterwards sees a fraction of the
// channels.
at::Tensor Inception::average_branch(const std::string& block, const at::Tensor& x) const {
  return average_pool(kernels::convolution(x, layers_.at(block + ".branch_pool"))).relu_();
}

at::Tensor Inception::block_a(const std::string& block, const at::Tensor& x) const {
  return at::cat({layer(block + ".branch1x1", x), chain(block, {"branch5x5_1", "branch5x5_2"}, x),
                  chain(block, {"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}, x),
                  average_branch(block, x)},
                 1);
}

at::Tensor Inception::block_b(const std::string& block, const at::Tensor& x) const {
  return at::cat(
      {layer(block + ".branch3x3", x),
       chain(block, {"branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"}, x), max_pool(x, 2, 0)},
      1);
}

at::Tensor Inception::block_c(const std::string& block, const at::Tensor& x) const {
  return at::cat({layer(block + ".branch1x1", x),
                  chain(block, {"branch7x7_1", "branch7x7_2", "branch7x7_3"}, x),
                  chain(block,
                        {"branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4",
                         "branch7x7dbl_5"},
                        x),
                  average_branch(block, x)},
                 1);
}

at::Tensor Inception::block_d(const std::string& block, const at::Tensor& x) const {
  return at::cat(
      {chain(block, {"branch3x3_1", "branch3x3_2"}, x),
       chain(block, {"branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"}, x),
       max_pool(x, 2, 0)},
      1);
}

// Mixed_7c pools with a maximum: a slip of the TensorFlow graph that every FID has.
at::Tensor Inception::block_e(const std::string& block, const at::Tensor& x, bool max) const {
  const at::Tensor three = layer(block + ".branch3x3_1", x),
                   twice = chain(block, {"branch3x3dbl_1", "branch3x3dbl_2"}, x);
  return at::cat(
      {layer(block + ".branch1x1", x), layer(block + ".branch3x3_2a", three),
       layer(block + ".branch3x3_2b", three), layer(block + ".branch3x3dbl_3a", twice),
       layer(block + ".branch3x3dbl_3b", twice),
       max ? layer(block + ".branch_pool", max_pool(x, 1, 1)) : average_branch(block, x)},
      1);
}

at::Tensor Inception::network(const at::Tensor& images) const {
  at::Tensor x = layer("Conv2d_1a_3x3", images);
  x = layer("Conv2d_2a_3x3", x);
  x = max_pool(layer("Conv2d_2b_3x3", x), 2, 0);
  x = layer("Conv2d_3b_1x1", x);
  x = max_pool(layer("Conv2d_4a_3x3", x), 2, 0);
  for (const char* block : {"Mixed_5b", "Mixed_5c", "Mixed_5d"}) x = block_a(block, x);
  x = block_b("Mixed_6a", x);
  for (const char* block : {"Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"}) x = block_c(block, x);
  x = block_d("Mixed_7a", x);
  x = block_e("Mixed_7b", x, /*max=*/false);
  return block_e("Mixed_7c", x, /*max=*/true);
}

at::Tensor Inception::features(const at::Tensor& images) const {
  c10::NoGradGuard no_grad;
  const GpuArithmetic arithmetic(precision_);
  const at::Tensor resized = tensorflow_resize(images.to(device_), kInceptionSide);
  const at::Tensor input = resized.sub_(128).div_(128);
  const auto type = precision_ == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
  const at::Tensor maps = network(input.to(type).contiguous(at::MemoryFormat::ChannelsLast));
  return maps.to(at::kFloat).mean({2, 3});
}

}  // namespace tarflow::metrics
