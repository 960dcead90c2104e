// Seconds to sample with the demo's model, cfg 1, fp32: the figures that published_bench.py puts
// beside the published code's. Each program is one process, so that both use the CPU the same way.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/sampling/sampler.h"
#include "framework/tensor/noise.h"

namespace tarflow {
namespace {

const Model& demo_model() {
  static const Model model = [] {
    const auto state = checkpoint::open_tarflow(
        TARFLOW_SOURCE_DIR "/sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth");
    return load_model(state.tensors, state.shape, at::kCPU, ComputeType::kFloat32);
  }();
  return model;
}

// [7-8-4-4]: block 7 in 8 segments of 4 iterations, the others 4 Jacobi iterations; guess z, clamp
// and stop as published.
Strategy gs_jacobi() {
  Strategy strategy{"[7-8-4-4]", std::vector<BlockPlan>(8, published_plan(1, 4))};
  strategy.blocks[0] = published_plan(8, 4);
  return strategy;
}

void run(benchmark::State& state, const Strategy& strategy) {
  const Model& model = demo_model();
  const int64_t images = state.range(0);
  const at::Tensor noise =
      normal_noise(0, 0, images, model.shape.tokens(), model.shape.token_width(), at::kCPU);
  const Labels labels = uniform_labels(0, 0, images, model.shape.classes);
  SampleOptions options;
  options.strategy = strategy;
  options.guidance = {1.0, 1.0};
  Sampler sampler(model, images, options);
  for (auto _ : state) benchmark::DoNotOptimize(sampler.sample(noise, labels).images);
  state.counters["images/s"] = benchmark::Counter(static_cast<double>(images),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

void sequential(benchmark::State& state) { run(state, {"For", std::vector<BlockPlan>(8)}); }
void gs_jacobi_7_8_4_4(benchmark::State& state) { run(state, gs_jacobi()); }

BENCHMARK(sequential)->Arg(64)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(gs_jacobi_7_8_4_4)->Arg(64)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace tarflow
