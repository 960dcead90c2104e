#include "framework/sweep/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace tarflow::sweep {
namespace {

constexpr size_t kMaxValue = size_t{1} << 16;  // bytes of a value with what is put into it

bool is_name(std::string_view text) {
  const auto is_part = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), is_part);
}

// Where the `number`th `${` of the scalar stands in its line; the scalar's own place when it is not
// there (several lines, say).
Mark place_of(const Node& scalar, size_t number, const Report& report) {
  const std::string line = report.sources.problem(scalar.mark, "").source_line;
  size_t at = 0;
  int column = 1;
  const auto step = [&] {
    ++at;
    while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xC0) == 0x80) ++at;
    ++column;
  };
  while (at < line.size() && column < scalar.mark.column) step();
  for (size_t seen = 0; at < line.size(); step()) {
    if (line.compare(at, 2, "${") != 0) continue;
    if (seen++ == number) return {scalar.mark.line, column, scalar.mark.source};
  }
  return scalar.mark;
}

// What `inside`, between `${` and `}`, stands for.
std::optional<std::string> value_of(const std::string& inside, Mark mark, Report& report) {
  if (!inside.starts_with("env:")) {
    report.error(mark, fmt::format("`${{{}}}` is not evaluated: only `${{env:NAME}}` is", inside),
                 "write `$${` for `${` itself");
    return std::nullopt;
  }
  const size_t dash = inside.find(":-", 4);
  const std::string name = inside.substr(4, dash == std::string::npos ? dash : dash - 4);
  if (!is_name(name)) {
    report.error(mark, fmt::format("`{}` cannot be the name of an environment variable", name),
                 "write `${env:NAME}` or `${env:NAME:-default}`");
    return std::nullopt;
  }
  if (const char* value = std::getenv(name.c_str())) return value;
  if (dash != std::string::npos) return inside.substr(dash + 2);
  report.error(
      mark, fmt::format("the environment variable `{}` is not set", name),
      fmt::format("set it, or state what to take without it: `${{env:{}:-default}}`", name));
  return std::nullopt;
}

}  // namespace

std::optional<std::string> substitute_environment(const Node& scalar, Report& report) {
  const std::string& text = scalar.text;
  std::string out;
  bool sound = true;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 3, "$${") == 0) {
      out += "${";
      at += 3;
      ++number;
    } else if (text.compare(at, 2, "${") == 0) {
      const Mark mark = place_of(scalar, number++, report);
      const size_t end = text.find('}', at);
      if (end == std::string::npos) {
        report.error(mark, "`${` is not closed", "write `${env:NAME}`, or `$${` for `${` itself");
        return std::nullopt;
      }
      const auto value = value_of(text.substr(at + 2, end - at - 2), mark, report);
      sound = sound && value;
      out += value.value_or("");
      at = end + 1;
    } else {
      out += text[at++];
    }
    if (out.size() > kMaxValue) {
      report.error(scalar.mark, fmt::format("the value is longer than {} bytes", kMaxValue),
                   "shorten the environment variable");
      return std::nullopt;
    }
  }
  return sound ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace tarflow::sweep
