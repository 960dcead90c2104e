// The 94 convolutions of Inception-v3 as the state dict names and shapes them.
#include "framework/metrics/inception.h"

#include <utility>

namespace tarflow::metrics {
namespace {

class Layers {
 public:
  std::vector<InceptionLayer> take() { return std::move(layers_); }

  void add(const std::string& name, int64_t in, int64_t out, int64_t height, int64_t width,
           int64_t stride = 1, bool padded = false) {
    layers_.push_back({block_ + name, in, out, height, width, stride, padded});
  }
  void point(const std::string& name, int64_t in, int64_t out) { add(name, in, out, 1, 1); }
  // Those that keep the size.
  void same(const std::string& name, int64_t in, int64_t out, int64_t height, int64_t width) {
    add(name, in, out, height, width, 1, true);
  }

  void block_a(const std::string& block, int64_t in, int64_t pool) {
    block_ = block + ".";
    point("branch1x1", in, 64);
    point("branch5x5_1", in, 48);
    same("branch5x5_2", 48, 64, 5, 5);
    point("branch3x3dbl_1", in, 64);
    same("branch3x3dbl_2", 64, 96, 3, 3);
    same("branch3x3dbl_3", 96, 96, 3, 3);
    point("branch_pool", in, pool);
  }

  void block_b(const std::string& block, int64_t in) {
    block_ = block + ".";
    add("branch3x3", in, 384, 3, 3, 2);
    point("branch3x3dbl_1", in, 64);
    same("branch3x3dbl_2", 64, 96, 3, 3);
    add("branch3x3dbl_3", 96, 96, 3, 3, 2);
  }

  void block_c(const std::string& block, int64_t in, int64_t c7) {
    block_ = block + ".";
    point("branch1x1", in, 192);
    point("branch7x7_1", in, c7);
    same("branch7x7_2", c7, c7, 1, 7);
    same("branch7x7_3", c7, 192, 7, 1);
    point("branch7x7dbl_1", in, c7);
    same("branch7x7dbl_2", c7, c7, 7, 1);
    same("branch7x7dbl_3", c7, c7, 1, 7);
    same("branch7x7dbl_4", c7, c7, 7, 1);
    same("branch7x7dbl_5", c7, 192, 1, 7);
    point("branch_pool", in, 192);
  }

  void block_d(const std::string& block, int64_t in) {
    block_ = block + ".";
    point("branch3x3_1", in, 192);
    add("branch3x3_2", 192, 320, 3, 3, 2);
    point("branch7x7x3_1", in, 192);
    same("branch7x7x3_2", 192, 192, 1, 7);
    same("branch7x7x3_3", 192, 192, 7, 1);
    add("branch7x7x3_4", 192, 192, 3, 3, 2);
  }

  void block_e(const std::string& block, int64_t in) {
    block_ = block + ".";
    point("branch1x1", in, 320);
    point("branch3x3_1", in, 384);
    same("branch3x3_2a", 384, 384, 1, 3);
    same("branch3x3_2b", 384, 384, 3, 1);
    point("branch3x3dbl_1", in, 448);
    same("branch3x3dbl_2", 448, 384, 3, 3);
    same("branch3x3dbl_3a", 384, 384, 1, 3);
    same("branch3x3dbl_3b", 384, 384, 3, 1);
    point("branch_pool", in, 192);
  }

 private:
  std::string block_;  // with its point
  std::vector<InceptionLayer> layers_;
};

std::vector<InceptionLayer> make_layers() {
  Layers layers;
  layers.add("Conv2d_1a_3x3", 3, 32, 3, 3, 2);
  layers.add("Conv2d_2a_3x3", 32, 32, 3, 3);
  layers.same("Conv2d_2b_3x3", 32, 64, 3, 3);
  layers.point("Conv2d_3b_1x1", 64, 80);
  layers.add("Conv2d_4a_3x3", 80, 192, 3, 3);
  layers.block_a("Mixed_5b", 192, 32);
  layers.block_a("Mixed_5c", 256, 64);
  layers.block_a("Mixed_5d", 288, 64);
  layers.block_b("Mixed_6a", 288);
  layers.block_c("Mixed_6b", 768, 128);
  layers.block_c("Mixed_6c", 768, 160);
  layers.block_c("Mixed_6d", 768, 160);
  layers.block_c("Mixed_6e", 768, 192);
  layers.block_d("Mixed_7a", 768);
  layers.block_e("Mixed_7b", 1280);
  layers.block_e("Mixed_7c", 2048);
  return layers.take();
}

}  // namespace

const std::vector<InceptionLayer>& inception_layers() {
  static const std::vector<InceptionLayer> layers = make_layers();
  return layers;
}

}  // namespace tarflow::metrics
