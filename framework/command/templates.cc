#include "framework/command/templates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <regex>

namespace tarflow::command {
namespace {

enum class Quotes { kNone, kSingle, kDouble };

bool is_name(const std::string& text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// The name in braces that begin at `at`; "" where these are none of a field.
std::string name_at(const std::string& text, size_t at) {
  const size_t end = text.find('}', at);
  if (text[at] != '{' || end == std::string::npos) return "";
  const std::string name = text.substr(at + 1, end - at - 1);
  return is_name(name) ? name : "";
}

// Calls `plain` for each character that is no field's, `field` for each field with its quotes.
void walk(const std::string& text, const std::function<void(char)>& plain,
          const std::function<void(const std::string&, Quotes)>& field) {
  Quotes quotes = Quotes::kNone;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && quotes != Quotes::kSingle && at + 1 < text.size()) {
      plain(c);
      plain(text[++at]);
      continue;
    }
    if (c == '\'' && quotes != Quotes::kDouble) {
      quotes = quotes == Quotes::kSingle ? Quotes::kNone : Quotes::kSingle;
    } else if (c == '"' && quotes != Quotes::kSingle) {
      quotes = quotes == Quotes::kDouble ? Quotes::kNone : Quotes::kDouble;
    }
    const bool shell = c == '$' && quotes != Quotes::kSingle && at + 1 < text.size();
    const std::string name = name_at(text, shell ? at + 1 : at);
    const std::string literal = c == '{' && at + 1 < text.size() ? name_at(text, at + 1) : "";
    if (!literal.empty() && text[at + literal.size() + 3] == '}') {  // {{name}}
      for (const char inner : "{" + literal + "}") {
        if (inner != '\0') plain(inner);
      }
      at += literal.size() + 3;
    } else if (shell && !name.empty()) {  // ${name}
      for (const char inner : text.substr(at, name.size() + 3)) plain(inner);
      at += name.size() + 2;
    } else if (!name.empty()) {
      field(name, quotes);
      at += name.size() + 1;
    } else {
      plain(c);
    }
  }
}

std::string quoted(const std::string& value, Quotes quotes) {
  if (value.find_first_of("\n\r") != std::string::npos || value.find('\0') != std::string::npos) {
    throw Error(fmt::format("`{}` has a line break, which a command line cannot hold", value),
                "rename the file or folder");
  }
  const bool plain = !value.empty() && value.find_first_not_of(
                                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789_./=,:@%+-") == std::string::npos;
  if (plain) return value;
  std::string text;
  for (const char c : value) {
    const bool special = c == '"' || c == '\\' || c == '$' || c == '`';
    if (quotes == Quotes::kDouble) {
      text += special ? std::string("\\") + c : std::string(1, c);
    } else {
      text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
  }
  return quotes == Quotes::kNone ? "'" + text + "'" : text;
}

}  // namespace

const char* name_of(Template which) {
  switch (which) {
    case Template::kSubmit:
      return "submit";
    case Template::kState:
      return "state";
    case Template::kCancel:
      return "cancel";
  }
  return "?";
}

const std::vector<std::string>& fields_of(Template which) {
  static const std::vector<std::string> submit{"script",  "name",    "log",  "folder", "cpus",
                                               "gpus",    "ranks",   "mem",  "mem_mb", "mem_gb",
                                               "minutes", "seconds", "time", "attempt"};
  static const std::vector<std::string> state{"id", "ids"};
  static const std::vector<std::string> cancel{"id"};
  return which == Template::kSubmit ? submit : which == Template::kState ? state : cancel;
}

std::vector<std::string> fields_in(const std::string& text) {
  std::vector<std::string> names;
  walk(
      text, [](char) {},
      [&](const std::string& name, Quotes) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      });
  return names;
}

bool has_field(const std::string& text, const std::string& name) {
  const std::vector<std::string> names = fields_in(text);
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<Problem> fault_of(Template which, const std::string& text) {
  const std::vector<std::string>& known = fields_of(which);
  for (const std::string& name : fields_in(text)) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return Problem{
        {},
        fmt::format("`{}` has the field {{{}}}, which does not exist", name_of(which), name),
        fmt::format("{}; for the text {{{}}} itself write {{{{{}}}}}", did_you_mean(name, known),
                    name, name),
        ""};
  }
  if (which == Template::kSubmit && !has_field(text, "script")) {
    return Problem{{},
                   "`submit` does not have the field {script}",
                   "add {script}: it is the shell file that the queue is to run",
                   ""};
  }
  if (which == Template::kCancel && !has_field(text, "id")) {
    return Problem{
        {}, "`cancel` does not have the field {id}", "add {id}: the job that is to end", ""};
  }
  return std::nullopt;
}

std::optional<Problem> fault_of_id(const std::string& expression) {
  const char* repair = "write one group around the job's id: Job <([0-9]+)>";
  try {
    const std::regex regex(expression);
    if (regex.mark_count() == 1) return std::nullopt;
    return Problem{{}, fmt::format("`id` has {} groups", regex.mark_count()), repair, ""};
  } catch (const std::regex_error& failure) {
    return Problem{
        {}, fmt::format("`id` is no regular expression: {}", failure.what()), repair, ""};
  }
}

std::string filled(const std::string& text, const Fields& fields) {
  std::string line;
  walk(
      text, [&](char c) { line += c; },
      [&](const std::string& name, Quotes quotes) {
        if (name == "ids") {
          std::vector<std::string> words;
          for (const std::string& id : fields.ids) words.push_back(quoted(id, quotes));
          line += fmt::format("{}", fmt::join(words, " "));
          return;
        }
        const auto value = fields.words.find(name);
        if (value == fields.words.end()) {
          throw Error(fmt::format("there is no value for the field {{{}}} of `{}`", name, text));
        }
        line += quoted(value->second, quotes);
      });
  return line;
}

}  // namespace tarflow::command
