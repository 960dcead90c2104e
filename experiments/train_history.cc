#include "experiments/train_history.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "framework/core/error.h"

namespace tarflow::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> numbers_of(const ArrayMap& arrays, const std::string& path) {
  return record::to_doubles(arrays.at(path));
}

std::vector<int64_t> integers_of(const ArrayMap& arrays, const std::string& path) {
  const std::vector<double> numbers = numbers_of(arrays, path);
  return {numbers.begin(), numbers.end()};
}

}  // namespace

void TrainHistory::add_step(const training::StepReport& report, double learning_rate,
                            double images_per_second) {
  loss_.push_back(report.loss());
  square_.push_back(report.square);
  logdet_.push_back(report.logdet);
  learning_rate_.push_back(learning_rate);
  gradient_norm_.push_back(report.gradient_norm);
  images_per_second_.push_back(images_per_second);
  block_squares_.insert(block_squares_.end(), report.block_squares.begin(),
                        report.block_squares.end());
  skipped_.push_back(report.skipped);
}

void TrainHistory::add_held_out(int64_t step, double loss) {
  held_out_steps_.push_back(step);
  held_out_loss_.push_back(loss);
}

void TrainHistory::add_distance(int64_t step, double distance) {
  distance_steps_.push_back(step);
  distance_.push_back(distance);
}

void TrainHistory::add_samples(int64_t step, const at::Tensor& pixels) {
  sample_steps_.push_back(step);
  samples_.push_back(pixels);
}

double TrainHistory::mean_loss(int64_t count) const {
  double sum = 0;
  int64_t used = 0;
  const size_t first = loss_.size() - std::min(loss_.size(), static_cast<size_t>(count));
  for (size_t i = first; i < loss_.size(); ++i) {
    if (skipped_[i]) continue;
    sum += loss_[i];
    ++used;
  }
  return used > 0 ? sum / static_cast<double>(used) : kNaN;
}

double TrainHistory::held_out_loss() const {
  return held_out_loss_.empty() ? kNaN : held_out_loss_.back();
}

double TrainHistory::distance() const { return distance_.empty() ? kNaN : distance_.back(); }

bool TrainHistory::has_distance(int64_t step) const {
  return !distance_steps_.empty() && distance_steps_.back() == step;
}

bool TrainHistory::has_held_out(int64_t step) const {
  return !held_out_steps_.empty() && held_out_steps_.back() == step;
}

bool TrainHistory::has_samples(int64_t step) const {
  return !sample_steps_.empty() && sample_steps_.back() == step;
}

void TrainHistory::report(JobContext& context) const {
  const auto add = [&](const char* path, const std::vector<double>& values) {
    context.add(path, {}, array_values(values));
  };
  add("training/loss", loss_);
  add("training/square", square_);
  add("training/logdet", logdet_);
  add("training/learning_rate", learning_rate_);
  add("training/gradient_norm", gradient_norm_);
  add("training/images_per_second", images_per_second_);
  context.add("training/skipped", {}, array_values(skipped_));
  context.add("training/block_squares", {},
              record::make_array("values", {steps(), blocks_}, block_squares_, "", ""));
  if (!held_out_steps_.empty()) {
    context.add("held_out/step", {}, array_values(held_out_steps_));
    context.add("held_out/loss", {}, array_values(held_out_loss_));
  }
  if (!distance_steps_.empty()) {
    context.add("distance/step", {}, array_values(distance_steps_));
    context.add("distance/value", {}, array_values(distance_));
  }
  if (!sample_steps_.empty()) {
    context.add("samples/step", {}, array_values(sample_steps_));
    context.add("samples/pixels", {}, array_values(at::stack(samples_)));
  }
}

std::vector<record::Array> TrainHistory::state() const {
  std::vector<record::Array> arrays;
  const auto add = [&](const std::string& path, record::Array values) {
    values.path = "history/" + path;
    arrays.push_back(std::move(values));
  };
  add("loss", array_values(loss_));
  add("square", array_values(square_));
  add("logdet", array_values(logdet_));
  add("learning_rate", array_values(learning_rate_));
  add("gradient_norm", array_values(gradient_norm_));
  add("images_per_second", array_values(images_per_second_));
  add("block_squares", array_values(block_squares_));
  add("skipped", array_values(skipped_));
  add("held_out_steps", array_values(held_out_steps_));
  add("held_out_loss", array_values(held_out_loss_));
  add("distance_steps", array_values(distance_steps_));
  add("distance", array_values(distance_));
  add("sample_steps", array_values(sample_steps_));
  if (!samples_.empty()) add("samples", array_values(at::stack(samples_)));
  return arrays;
}

void TrainHistory::restore(const ArrayMap& arrays) {
  loss_ = numbers_of(arrays, "history/loss");
  square_ = numbers_of(arrays, "history/square");
  logdet_ = numbers_of(arrays, "history/logdet");
  learning_rate_ = numbers_of(arrays, "history/learning_rate");
  gradient_norm_ = numbers_of(arrays, "history/gradient_norm");
  images_per_second_ = numbers_of(arrays, "history/images_per_second");
  block_squares_ = numbers_of(arrays, "history/block_squares");
  skipped_ = integers_of(arrays, "history/skipped");
  held_out_steps_ = integers_of(arrays, "history/held_out_steps");
  held_out_loss_ = numbers_of(arrays, "history/held_out_loss");
  distance_steps_ = integers_of(arrays, "history/distance_steps");
  distance_ = numbers_of(arrays, "history/distance");
  sample_steps_ = integers_of(arrays, "history/sample_steps");
  samples_.clear();
  if (!sample_steps_.empty()) {
    const at::Tensor all = arrays.tensor("history/samples").to(at::kByte);
    for (int64_t i = 0; i < all.size(0); ++i) samples_.push_back(all[i]);
  }
  for (const std::vector<double>* values :
       {&square_, &logdet_, &learning_rate_, &gradient_norm_, &images_per_second_}) {
    if (values->size() != loss_.size()) throw Error("the history of the training is not whole");
  }
  if (skipped_.size() != loss_.size() ||
      block_squares_.size() != loss_.size() * static_cast<size_t>(blocks_) ||
      held_out_loss_.size() != held_out_steps_.size() ||
      distance_.size() != distance_steps_.size() || samples_.size() != sample_steps_.size())
    throw Error("the history of the training is not whole");
}

std::vector<ArrayInfo> train_arrays() {
  const auto of_steps = [](const char* path, const char* unit, const char* meaning) {
    return ArrayInfo{path, ElementType::kFloat64, {"step"}, unit, meaning};
  };
  std::vector<ArrayInfo> arrays = {
      of_steps("training/loss", "nat",
               "0.5 mean(z^2) - logdet of the step's batch, before the step's update"),
      of_steps("training/square", "nat", "its first term, 0.5 mean(z^2)"),
      of_steps("training/logdet", "nat", "its second term, the sum over blocks"),
      of_steps("training/learning_rate", "", "the step's learning rate"),
      of_steps("training/gradient_norm", "", "norm of the gradient before clipping"),
      {"training/images_per_second",
       ElementType::kFloat64,
       {"step"},
       "1/s",
       "images of the batch over the time from the end of the step before to that of the step",
       true},
      {"training/skipped",
       ElementType::kInt64,
       {"step"},
       "",
       "1: the loss or the gradient was not finite, and the weights stayed as they were"},
      {"training/block_squares",
       ElementType::kFloat64,
       {"step", "block in checkpoint order"},
       "",
       "mean z^2 of the batch after each block"},
      {"held_out/step", ElementType::kInt64, {"look"}, "", "steps done at each look"},
      {"held_out/loss",
       ElementType::kFloat64,
       {"look"},
       "nat",
       "mean over the held-out images of 0.5 mean(z^2) - logdet, noise added, without labels"},
      {"distance/step", ElementType::kInt64, {"look"}, "", "steps done at each look"},
      {"distance/value",
       ElementType::kFloat64,
       {"look"},
       "",
       "Frechet distance of samples to the reference; not a number where a sample is not finite"},
      {"checkpoints/sha256",
       ElementType::kUInt8,
       {"file", "byte"},
       "",
       "SHA-256 of the trained model and, where `ema` keeps one, of that with averaged weights"},
      {"samples/step", ElementType::kInt64, {"look"}, "", "steps done at each look"},
      {"samples/pixels",
       ElementType::kUInt8,
       {"look", "image", "row", "column", "colour"},
       "",
       "images from the same noise at each look"}};
  return arrays;
}

}  // namespace tarflow::experiments
