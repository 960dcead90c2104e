#include "framework/sweep/guesses.h"

#include <fmt/format.h>

#include <cstdint>
#include <set>

#include "framework/core/image_settings.h"
#include "framework/core/strategy.h"

namespace tarflow::sweep {

OpenGuesses::OpenGuesses(Values& values) : values_(values) {
  for (size_t i = 0; i < values.schema().fields.size(); ++i) {
    if (values.schema().fields[i].name == kGuessImages) images_ = i;
    if (values.schema().fields[i].name == kGuessLayout) layout_ = i;
    if (values.schema().fields[i].name == kGuessNumImages) count_ = i;
  }
}

const Value* OpenGuesses::open_strategy(const Cell* row) {
  for (size_t i = 0; i < values_.width(); ++i) {
    if (values_.schema().fields[i].type != FieldType::kStrategy) continue;
    const Value* value = values_.at(i, row);
    if (!value) continue;
    const auto [known, is_new] = open_.try_emplace(value->setting.get(), false);
    if (is_new) known->second = strategy_from_json(value->setting->value).has_open_guess();
    if (known->second) return value;
  }
  return nullptr;
}

void OpenGuesses::require_images(const Rows& rows, const Node& entry) {
  Report& report = values_.report();
  std::set<const Value*> told;
  bool any = false;
  for (size_t i = 0; i < rows.count; ++i) {
    const Value* open = open_strategy(rows.row(i));
    any = any || open;
    const bool named = images_ != kNone && rows.row(i)[images_] != 0;
    if (!open || named || report.incomplete || !told.insert(open).second) continue;
    const std::string& experiment = values_.schema().name;
    if (images_ == kNone) {
      report.error(open->mark, fmt::format("`{}` cannot choose initial guesses", experiment),
                   "state `guess: z` or `guess: zero` instead of auto");
    } else {
      report.error(
          open->mark,
          fmt::format("`guess: auto` needs real images, and this `{}` names none", experiment),
          fmt::format("add `{}: FOLDER`, a folder of real images", kGuessImages));
    }
  }
  if (any || rows.count == 0) return;
  for (const char* name : {kGuessImages, kGuessLayout}) {
    if (const Entry* stated = entry.find(name)) {
      report.warn(stated->mark,
                  fmt::format("`{}` changes nothing: no strategy here says `guess: auto`", name));
    }
  }
}

}  // namespace tarflow::sweep
