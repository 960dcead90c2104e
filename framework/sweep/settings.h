// The settings of a point. The points of a grid share their values, so that 100,000 points are
// small.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/json.h"

namespace tarflow::sweep {

struct Setting {
  std::string name;
  Json value;
  std::string text;  // canonical(value), printed once for all points that have it
};
using SettingPtr = std::shared_ptr<const Setting>;  // never null

SettingPtr make_setting(std::string name, Json value);

// Values by field name, sorted by name.
class Settings {
 public:
  Settings() = default;
  explicit Settings(const Json& object);

  const Json* find(std::string_view name) const;  // nullptr when it is absent
  const SettingPtr* find_shared(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  const Json& at(std::string_view name) const;  // throws Error when it is absent
  void set(SettingPtr setting);                 // in the place of one of its name
  void set(std::string name, Json value) { set(make_setting(std::move(name), std::move(value))); }
  void append(SettingPtr setting) { items_.push_back(std::move(setting)); }  // of the last name
  void erase(std::string_view name);
  void update(const Settings& others);  // others win

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  void reserve(size_t count) { items_.reserve(count); }

  Json json() const;  // an object
  bool operator==(const Settings& other) const;

 private:
  std::vector<SettingPtr> items_;
};

}  // namespace tarflow::sweep
