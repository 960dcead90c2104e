#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/record/array.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace {

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    parts.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

bool matches(const std::string& pattern, const std::string& path) {
  const std::vector<std::string_view> declared = components(pattern), parts = components(path);
  return std::equal(declared.begin(), declared.end(), parts.begin(), parts.end(),
                    [](std::string_view expected, std::string_view part) {
                      const bool any = expected.starts_with('<') && expected.ends_with('>');
                      return any ? !part.empty() : expected == part;
                    });
}

std::string counted_axes(size_t axes) {
  return axes == 1 ? "1 axis" : fmt::format("{} axes", axes);
}

std::string quoted(const std::string& unit) { return unit.empty() ? "none" : "`" + unit + "`"; }

// In what the array is not as declared, "" when it is.
std::string difference(const ArrayInfo& info, const Array& array) {
  if (array.type != info.type) {
    return fmt::format("holds {}, not {}", type_name(array.type), to_string(info.type));
  }
  if (array.shape.size() != info.axes.size()) {
    return fmt::format("has {}, not {}", counted_axes(array.shape.size()),
                       counted_axes(info.axes.size()));
  }
  if (array.unit != info.unit) {
    return fmt::format("has the unit {}, not {}", quoted(array.unit), quoted(info.unit));
  }
  if (array.timing != info.timing) {
    return array.timing ? "is a time, which is not declared" : "is declared as a time and is none";
  }
  if (!array.axes.empty() && array.axes != info.axes) {
    return fmt::format("names the axes {}, not {}", fmt::join(array.axes, ","),
                       fmt::join(info.axes, ","));
  }
  return "";
}

}  // namespace

void require_declared(const ExperimentSchema& schema, const std::vector<Array>& arrays) {
  std::vector<std::string> patterns;
  for (const ArrayInfo& info : schema.arrays) patterns.push_back(info.path);
  std::vector<Problem> problems;
  for (const Array& array : arrays) {
    const auto info =
        std::find_if(schema.arrays.begin(), schema.arrays.end(),
                     [&](const ArrayInfo& known) { return matches(known.path, array.path); });
    if (info == schema.arrays.end()) {
      problems.push_back({{},
                          fmt::format("the experiment {} does not declare the array `{}`",
                                      schema.name, array.path),
                          patterns.empty() ? "declare it where the experiment is registered"
                                           : did_you_mean(array.path, patterns),
                          ""});
    } else if (const std::string what = difference(*info, array); !what.empty()) {
      problems.push_back(
          {{},
           fmt::format("the array `{}` of the experiment {} {}", array.path, schema.name, what),
           fmt::format("write it as `{}` is declared, or change the declaration", info->path),
           ""});
    }
  }
  if (!problems.empty()) throw Error(std::move(problems));
}

}  // namespace tarflow::record
