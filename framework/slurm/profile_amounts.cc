#include "framework/slurm/profile_amounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace tarflow::slurm {
namespace {

constexpr double kMostOfAUnit = 1e9;

}  // namespace

std::optional<double> megabytes_of(const std::string& text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || !(value >= 0 && value <= kMostOfAUnit)) return std::nullopt;
  std::string unit(static_cast<const char*>(end), text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.empty() || (unit.size() > 1 && unit.substr(1) != "B" && unit.substr(1) != "IB")) {
    return std::nullopt;
  }
  switch (unit[0]) {
    case 'K':
      return std::ceil(value / 1024);
    case 'M':
      return std::ceil(value);
    case 'G':
      return std::ceil(value * 1024);
    case 'T':
      return std::ceil(value * 1024 * 1024);
    default:
      return std::nullopt;
  }
}

std::string memory_text(const std::string& memory, const ClusterProfile& profile, int64_t attempt) {
  if (memory.empty() || !profile.mem_grows || attempt <= 1) return memory;
  return fmt::format("{:.0f}M", megabytes_of(memory).value_or(0) * static_cast<double>(attempt));
}

std::optional<std::string> first_attempt(const sweep::Node& node, const char* name, bool& grows,
                                         sweep::Report& report) {
  const size_t star = node.text.find('*');
  grows = star != std::string::npos;
  if (!grows) return node.text;
  const auto trimmed = [](std::string text) {
    text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  if (trimmed(node.text.substr(star + 1)) == "attempt") return trimmed(node.text.substr(0, star));
  report.error(node.mark, fmt::format("`{}` is `{}`, whose factor is not known", name, node.text),
               "write the value of the first attempt and `* attempt`: 32 GB * attempt, "
               "2 h * attempt");
  return std::nullopt;
}

Amount read_amount(const sweep::Node& node, const char* name, sweep::Report& report) {
  Amount amount;
  const auto first = first_attempt(node, name, amount.grows, report);
  amount.known = amount.grows;
  if (!first) return amount;
  const auto megabytes = megabytes_of(*first);
  if (amount.grows && (!megabytes || *megabytes <= 0)) {
    report.error(node.mark,
                 fmt::format("`{}`: expected an amount of memory before `* attempt`, found `{}`",
                             name, *first),
                 "write a number and a unit: 32 GB * attempt");
    return amount;
  }
  if (!megabytes) return amount;
  amount.known = true;
  const bool plain = first->find_first_of(" Bbi") == std::string::npos;
  const bool whole = std::fmod(*megabytes, 1024) == 0;
  amount.text = plain   ? *first
                : whole ? fmt::format("{:.0f}G", *megabytes / 1024)
                        : fmt::format("{:.0f}M", *megabytes);
  return amount;
}

}  // namespace tarflow::slurm
