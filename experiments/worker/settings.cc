#include "experiments/worker/settings.h"

#include <fmt/format.h>

#include <type_traits>

#include "framework/core/error.h"

namespace tarflow::experiments {

template <typename Value>
void Binder::field(Value& value, FieldType type, FieldInfo info, Json default_value) {
  if (!values_) {
    Field field;
    field.name = std::move(info.name);
    field.type = type;
    field.description = std::move(info.description);
    field.unit = std::move(info.unit);
    field.required = info.required;
    if (!info.required) field.default_value = std::move(default_value);
    field.minimum = info.minimum;
    field.maximum = info.maximum;
    field.choices = std::move(info.choices);
    field.example = std::move(info.example);
    field.identity = info.identity;
    field.shared = info.shared;
    field.file = info.file;
    field.tuned = info.tuned;
    fields_.push_back(std::move(field));
    return;
  }
  const auto found = values_->find(info.name);
  if (found == values_->end() || found->is_null()) {
    if (info.required)
      throw Error(fmt::format("the job lacks the setting `{}`", info.name), "plan the job again");
    return;
  }
  try {
    if constexpr (std::is_same_v<Value, Strategy>) {
      value = strategy_from_json(*found);
    } else {
      value = found->get<Value>();
    }
  } catch (const Json::exception& failure) {
    throw Error(fmt::format("the job's setting `{}` is damaged: {}", info.name, failure.what()),
                "plan the job again");
  }
}

void Binder::boolean(bool& value, FieldInfo info) {
  field(value, FieldType::kBoolean, std::move(info), value);
}
void Binder::integer(int64_t& value, FieldInfo info) {
  field(value, FieldType::kInteger, std::move(info), value);
}
void Binder::number(double& value, FieldInfo info) {
  field(value, FieldType::kNumber, std::move(info), value);
}
void Binder::integers(std::vector<int64_t>& value, FieldInfo info) {
  field(value, FieldType::kIntegerList, std::move(info), nullptr);
}
void Binder::text(std::string& value, FieldInfo info) {
  field(value, FieldType::kString, std::move(info), value);
}
void Binder::choice(std::string& value, FieldInfo info) {
  field(value, FieldType::kChoice, std::move(info), value);
}
void Binder::model(std::string& value, FieldInfo info) {
  field(value, FieldType::kModel, std::move(info), nullptr);
}

void Binder::path(std::string& value, FieldInfo info) {
  field(value, FieldType::kPath, std::move(info), nullptr);
}

void Binder::strategy(Strategy& value, FieldInfo info) {
  field(value, FieldType::kStrategy, std::move(info), nullptr);
}

void bind_device(Binder& binder, std::string& device, std::string& compute_type) {
  binder.text(device, {.name = "device",
                       .description =
                           "Where the job runs: auto (a GPU if there is one), cpu, cuda or cuda:N.",
                       .example = "cuda:0",
                       .identity = Identity::kNone});
  binder.choice(
      compute_type,
      {.name = "compute_type",
       .description =
           "Type of linear layers, attention, GELU and keys and values. auto: bfloat16 on a GPU, "
           "as published, and float32 on a CPU.",
       .choices = {"auto", "float32", "bfloat16"}});
}

void bind_seed(Binder& binder, int64_t& seed) {
  binder.integer(seed, {.name = "seed",
                        .description = "Key of the counter-based noise and of the labels. Image i "
                                       "is the same for any batch, order or device.",
                        .minimum = 0});
}

void bind_self_denoising(Binder& binder, double& rate, bool shared) {
  binder.number(
      rate, {.name = "self_denoising_lr",
             .description = "Step size of the self-denoising, in units of the noise's variance. 0: "
                            "none.",
             .minimum = 0,
             .example = 0.97,
             .shared = shared});
}

void require_noise_level(double self_denoising_lr, double noise_std) {
  if (self_denoising_lr == 0 || noise_std > 0) return;
  throw Error("self-denoising needs the model's noise level, which its file does not hold",
              "state `noise_std` under the model, or set self_denoising_lr: 0");
}

void bind_layout(Binder& binder, std::string& layout, const std::string& name,
                 const std::string& of) {
  binder.choice(layout,
                {.name = name,
                 .description = fmt::format(
                     "Where the images of a folder in `{}` lie. flat: in the folder itself, "
                     "without labels. classes: in its sub-folders, one a class. To be stated when "
                     "both have images.",
                     of),
                 .choices = {"flat", "classes"}});
}

void bind_max_unreadable(Binder& binder, int64_t& count) {
  binder.integer(
      count,
      {.name = "max_unreadable",
       .description =
           "How many unreadable image files may be left out (and named) before the job fails.",
       .minimum = 0});
}

void bind_extractor(Binder& binder, std::string& path, bool required, bool shared) {
  binder.path(
      path,
      {.name = "extractor",
       .description = "Feature extractor: the FID's Inception weights "
                      "(pt_inception-2015-12-05-6726825d.pth), a "
                      "*_fid_stats.pth that holds them, or TorchScript: (N, 3, H, W) of uint8 in, "
                      "(N, F) out.",
       .required = required,
       .example = "assets/cifar10_extractor.pt",
       .identity = Identity::kContent,
       .shared = shared,
       .file = FileKind::kExtractor});
}

void bind_extractor_precision(Binder& binder, std::string& precision) {
  binder.choice(
      precision,
      {.name = "extractor_precision",
       .description = "Arithmetic of the extractor on a GPU. float32: as on a CPU. tf32: inputs of "
                      "convolutions are rounded to 10 bits, as by default in PyTorch; several "
                      "times as fast. Statistics must have the same precision.",
       .choices = {"float32", "tf32"}});
}

}  // namespace tarflow::experiments
