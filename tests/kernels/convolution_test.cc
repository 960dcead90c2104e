// Convolutions against their definition, on CPUs and GPUs.
#include "framework/kernels/convolution.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/devices.h"

namespace tarflow::kernels {
namespace {

class ConvolutionTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    skip_without(GetParam());
    use_exact_float32();
    at::manual_seed(11);
  }
  at::Device device() const { return at::Device(std::string(GetParam())); }
  at::Tensor random(at::IntArrayRef sizes) const {
    return at::randn(sizes).to(device()).contiguous(at::MemoryFormat::ChannelsLast);
  }

  // Three input channels, five output channels.
  Convolution make(int64_t height, int64_t width, int64_t stride, int64_t pad_y,
                   int64_t pad_x) const {
    return {random({5, 3, height, width}),
            at::randn({5}).to(device()),
            {stride, stride},
            {pad_y, pad_x}};
  }
};

// The sum over input channels and kernel pixels, in float64.
at::Tensor defined(const at::Tensor& input, const Convolution& layer) {
  const at::Tensor weight = layer.weight.cpu().to(at::kDouble).contiguous(),
                   x = at::constant_pad_nd(
                           input.cpu().to(at::kDouble),
                           {layer.padding[1], layer.padding[1], layer.padding[0], layer.padding[0]})
                           .contiguous();
  const int64_t height = (x.size(2) - weight.size(2)) / layer.stride[0] + 1,
                width = (x.size(3) - weight.size(3)) / layer.stride[1] + 1;
  at::Tensor y = at::empty({x.size(0), weight.size(0), height, width}, at::kDouble);
  for (int64_t row = 0; row < height; ++row) {
    for (int64_t column = 0; column < width; ++column) {
      const int64_t top = row * layer.stride[0], left = column * layer.stride[1];
      const at::Tensor seen =
          x.slice(2, top, top + weight.size(2)).slice(3, left, left + weight.size(3)).unsqueeze(1);
      y.select(2, row).select(2, column).copy_((seen * weight).sum(at::IntArrayRef{2, 3, 4}) +
                                               layer.bias.cpu().to(at::kDouble));
    }
  }
  return y;
}

void expect_close(const at::Tensor& got, const at::Tensor& expected) {
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_LT((got.cpu().to(at::kDouble) - expected).abs().max().item<double>(), 1e-4);
}

TEST_P(ConvolutionTest, IsTheSumOverChannelsAndPixels) {
  const at::Tensor x = random({2, 3, 9, 8});
  // 1 x 1 layers are matrix products, unless they have a stride or padding.
  for (const Convolution& layer :
       {make(3, 3, 1, 1, 1), make(3, 3, 2, 0, 0), make(1, 7, 1, 0, 3), make(5, 1, 1, 2, 0),
        make(1, 1, 1, 0, 0), make(1, 1, 2, 0, 0), make(1, 1, 1, 1, 0)}) {
    SCOPED_TRACE(testing::Message() << layer.weight.sizes() << ", stride " << layer.stride[0]
                                    << ", padding " << layer.padding[0]);
    const at::Tensor expected = defined(x, layer);
    expect_close(convolution(x, layer), expected);
    expect_close(convolution_relu(x, layer, /*fused=*/false), expected.relu());
    EXPECT_GT(expected.lt(0).sum().item<int64_t>(), 0) << "relu has something to do";
  }
}

TEST_P(ConvolutionTest, FusedOnAGpuIsTheSame) {
  if (!device().is_cuda()) GTEST_SKIP() << "cuDNN fuses on GPUs only";
  const at::Tensor x = random({2, 3, 9, 8});
  for (const Convolution& layer : {make(3, 3, 1, 1, 1), make(3, 3, 2, 0, 0)}) {
    at::Tensor got;
    try {
      got = convolution_relu(x, layer, /*fused=*/true);
    } catch (const c10::Error& failure) {
      GTEST_SKIP() << "cuDNN has no fused convolution here: " << failure.what_without_backtrace();
    }
    expect_close(got, defined(x, layer).relu());
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ConvolutionTest, testing::Values("cpu", "cuda"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tarflow::kernels
