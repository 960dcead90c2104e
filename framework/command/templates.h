// A queue system as a cluster profile with `executor: command` states it: three command lines with
// named fields in braces, and the words of its answers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/core/error.h"

namespace tarflow::command {

struct Templates {
  std::string submit, state, cancel;  // lines for /bin/sh; "": not stated
  std::string id;  // regular expression with one group, for what `submit` prints; "": see job_id()
  std::map<std::string, std::string> words;  // of the profile: word -> name of a State
  int64_t silent_answers = 20;  // in a row; a job of which they say nothing counts as lost
  bool operator==(const Templates&) const = default;
};

// Values of a template's fields. `ids` is a list, each other one a word.
struct Fields {
  std::map<std::string, std::string> words;
  std::vector<std::string> ids = {};
};

enum class Template { kSubmit, kState, kCancel };
const char* name_of(Template which);
// The fields that a template may have.
const std::vector<std::string>& fields_of(Template which);

// Fields that the text has, each once, in order. `{name}` is a field, `{{name}}` the text {name};
// `${name}` and braces around anything else are the shell's.
std::vector<std::string> fields_in(const std::string& text);
bool has_field(const std::string& text, const std::string& name);

// What is wrong with the text as such a template; its place is left out. Nothing when it is fine.
std::optional<Problem> fault_of(Template which, const std::string& text);
// Likewise for the regular expression `id`.
std::optional<Problem> fault_of_id(const std::string& expression);

// The command line. Each value is quoted for where it stands: outside quotes, in '' or in "".
// Throws Error when a field has no value or its value has a line break.
std::string filled(const std::string& text, const Fields& fields);

}  // namespace tarflow::command
