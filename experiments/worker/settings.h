// Typed settings of an experiment. One member function, `bind(Binder&)`, lists the fields; from it
// come the schema (validation, record columns) and the reading of a job's settings, so the
// two cannot differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/core/strategy.h"

namespace tarflow::experiments {

// What a field is besides its C++ member; the member's initial value is the default.
struct FieldInfo {
  std::string name;
  std::string description;
  std::string unit = "";
  bool required = false;
  std::optional<double> minimum = {}, maximum = {};
  std::vector<std::string> choices = {};
  Json example = nullptr;
  Identity identity = Identity::kValue;
  bool shared = false;
  FileKind file = FileKind::kAny;
  bool tuned = false;
};

// Visits the fields of a settings struct: collects their schema, or fills them from JSON.
class Binder {
 public:
  Binder() = default;                                        // collect
  explicit Binder(const Json& values) : values_(&values) {}  // fill

  void boolean(bool& value, FieldInfo info);
  void integer(int64_t& value, FieldInfo info);
  void number(double& value, FieldInfo info);
  // Empty when absent.
  void integers(std::vector<int64_t>& value, FieldInfo info);
  void text(std::string& value, FieldInfo info);
  void choice(std::string& value, FieldInfo info);
  // "" when absent.
  void path(std::string& value, FieldInfo info);
  void model(std::string& value, FieldInfo info);
  void strategy(Strategy& value, FieldInfo info);

  std::vector<Field> take_fields() { return std::move(fields_); }

 private:
  template <typename Value>
  void field(Value& value, FieldType type, FieldInfo info, Json default_value);

  const Json* values_ = nullptr;
  std::vector<Field> fields_;
};

// Fields that several experiments have, stated once.
void bind_device(Binder& binder, std::string& device, std::string& compute_type);
void bind_seed(Binder& binder, int64_t& seed);
inline constexpr double kSelfDenoisingLr = 1;  // the default of every experiment that samples
void bind_self_denoising(Binder& binder, double& rate, bool shared = true);
// Throws Error where self-denoising needs a noise level that the model does not have.
void require_noise_level(double self_denoising_lr, double noise_std);
// `name`: of the setting, `of`: of the one that names the folder.
void bind_layout(Binder& binder, std::string& layout, const std::string& name,
                 const std::string& of);
void bind_max_unreadable(Binder& binder, int64_t& count);
// `shared`: points that differ in it run as one job.
void bind_extractor(Binder& binder, std::string& path, bool required, bool shared = false);
void bind_extractor_precision(Binder& binder, std::string& precision);

template <typename Settings>
Settings read_settings(const Json& values) {
  Settings settings;
  Binder binder(values);
  settings.bind(binder);
  return settings;
}

template <typename Settings>
std::vector<Field> fields_of() {
  Settings settings;
  Binder binder;
  settings.bind(binder);
  return binder.take_fields();
}

}  // namespace tarflow::experiments
