#include "framework/sweep/settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"

namespace tarflow::sweep {
namespace {

template <typename Items>
auto position(Items& items, std::string_view name) {
  return std::lower_bound(items.begin(), items.end(), name,
                          [](const SettingPtr& item, std::string_view wanted) {
                            return item->name.compare(wanted) < 0;
                          });
}

}  // namespace

SettingPtr make_setting(std::string name, Json value) {
  std::string text = canonical(value);
  return std::make_shared<const Setting>(
      Setting{std::move(name), std::move(value), std::move(text)});
}

Settings::Settings(const Json& object) {
  items_.reserve(object.size());
  for (const auto& [name, value] : object.items()) items_.push_back(make_setting(name, value));
}

const SettingPtr* Settings::find_shared(std::string_view name) const {
  const auto found = position(items_, name);
  return found != items_.end() && (*found)->name == name ? &*found : nullptr;
}

const Json* Settings::find(std::string_view name) const {
  const SettingPtr* setting = find_shared(name);
  return setting ? &(*setting)->value : nullptr;
}

const Json& Settings::at(std::string_view name) const {
  if (const Json* value = find(name)) return *value;
  throw Error(fmt::format("there is no setting `{}`", name));
}

void Settings::set(SettingPtr setting) {
  const auto found = position(items_, setting->name);
  if (found != items_.end() && (*found)->name == setting->name) {
    *found = std::move(setting);
  } else {
    items_.insert(found, std::move(setting));
  }
}

void Settings::erase(std::string_view name) {
  const auto found = position(items_, name);
  if (found != items_.end() && (*found)->name == name) items_.erase(found);
}

void Settings::update(const Settings& others) {
  for (const SettingPtr& setting : others) set(setting);
}

Json Settings::json() const {
  Json object = Json::object();
  for (const SettingPtr& item : items_) object[item->name] = item->value;
  return object;
}

bool Settings::operator==(const Settings& other) const {
  return std::equal(items_.begin(), items_.end(), other.items_.begin(), other.items_.end(),
                    [](const SettingPtr& a, const SettingPtr& b) {
                      return a == b || (a->name == b->name && a->text == b->text);
                    });
}

}  // namespace tarflow::sweep
