#include "framework/command/answers.h"

#include <array>
#include <cctype>
#include <regex>
#include <sstream>

namespace tarflow::command {
namespace {

constexpr std::array kStates{State::kWaiting, State::kRunning, State::kDone, State::kFailed,
                             State::kGone};

// "R", "job_state = R": a longer line that does not name the job is a banner.
constexpr size_t kShort = 3;

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string small(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) {
    if (word.size() > 2 && word.front() == '<' && word.back() == '>') {
      word = word.substr(1, word.size() - 2);
    }
    words.push_back(word);
  }
  return words;
}

// "123" of "123.server": a queue may print the number with or without its server, or cut short.
std::string key_of(const std::string& id) {
  size_t digits = 0;
  while (digits < id.size() && is_digit(id[digits])) ++digits;
  return digits > 0 && (digits == id.size() || !is_word(id[digits])) ? id.substr(0, digits) : id;
}

// The key stands in the line, and is not part of a longer word.
bool names(const std::string& line, const std::string& key) {
  for (size_t at = 0; (at = line.find(key, at)) != std::string::npos; ++at) {
    const size_t end = at + key.size();
    if ((at == 0 || !is_word(line[at - 1])) && (end == line.size() || !is_word(line[end]))) {
      return true;
    }
  }
  return false;
}

// Of the profile first.
std::optional<State> state_of(const std::string& word,
                              const std::map<std::string, std::string>& words) {
  for (const auto& [known, state] : words) {
    if (small(known) == word) return state_named(state);
  }
  const auto usual = usual_words().find(word);
  return usual == usual_words().end() ? std::nullopt : std::optional(usual->second);
}

std::vector<std::string> phrases_in(const std::map<std::string, std::string>& words) {
  std::vector<std::string> phrases;
  for (const auto& [word, state] : words) {
    if (word.find(' ') != std::string::npos) phrases.push_back(small(word));
  }
  for (const auto& [word, state] : usual_words()) {
    if (word.find(' ') != std::string::npos) phrases.push_back(word);
  }
  return phrases;
}

// Whether the line is another job's: in lists the first word is the job.
bool of_another(const std::string& line, const std::string& key) {
  const std::vector<std::string> words = words_of(line);
  return !words.empty() && is_digit(words.front()[0]) && key_of(words.front()) != key;
}

Told told_in(const std::string& line, const std::string& key,
             const std::map<std::string, std::string>& words) {
  Told told{{}, line, ""};
  const std::string small_line = small(line);
  for (const std::string& phrase : phrases_in(words)) {
    if (small_line.find(phrase) == std::string::npos) continue;
    told.state = state_of(phrase, words);
    told.word = phrase;
    return told;
  }
  for (const std::string& word : words_of(line)) {
    if (key_of(word) == key) continue;
    told.state = state_of(small(word), words);
    told.word = word;
    if (told.state) return told;
  }
  return told;
}

}  // namespace

const char* name_of(State state) {
  switch (state) {
    case State::kWaiting:
      return "waiting";
    case State::kRunning:
      return "running";
    case State::kDone:
      return "done";
    case State::kFailed:
      return "failed";
    case State::kGone:
      return "gone";
  }
  return "?";
}

std::optional<State> state_named(const std::string& name) {
  for (const State state : kStates) {
    if (name == name_of(state)) return state;
  }
  return std::nullopt;
}

std::vector<std::string> state_names() {
  std::vector<std::string> list;
  for (const State state : kStates) list.emplace_back(name_of(state));
  return list;
}

const std::map<std::string, State>& usual_words() {
  using enum State;
  static const std::map<std::string, State> words{// PBS and Torque: qstat
                                                  {"q", kWaiting},
                                                  {"h", kWaiting},
                                                  {"w", kWaiting},
                                                  {"m", kWaiting},
                                                  {"r", kRunning},
                                                  {"e", kRunning},
                                                  {"b", kRunning},
                                                  {"u", kRunning},
                                                  {"s", kRunning},
                                                  {"f", kDone},
                                                  {"c", kDone},
                                                  {"x", kDone},
                                                  {"unknown job", kGone},
                                                  {"job has finished", kDone},
                                                  // LSF: bjobs
                                                  {"pend", kWaiting},
                                                  {"psusp", kWaiting},
                                                  {"wait", kWaiting},
                                                  {"run", kRunning},
                                                  {"prov", kRunning},
                                                  {"ususp", kRunning},
                                                  {"ssusp", kRunning},
                                                  {"done", kDone},
                                                  {"exit", kFailed},
                                                  {"zombi", kFailed},
                                                  {"is not found", kGone},
                                                  // Grid Engine: qstat
                                                  {"qw", kWaiting},
                                                  {"hqw", kWaiting},
                                                  {"hrwq", kWaiting},
                                                  {"rq", kWaiting},
                                                  {"t", kRunning},
                                                  {"rr", kRunning},
                                                  {"rt", kRunning},
                                                  {"ts", kRunning},
                                                  {"dr", kRunning},
                                                  {"dt", kRunning},
                                                  {"eqw", kFailed},
                                                  {"ehqw", kFailed},
                                                  {"do not exist", kGone},
                                                  {"does not exist", kGone},
                                                  // as words
                                                  {"waiting", kWaiting},
                                                  {"pending", kWaiting},
                                                  {"queued", kWaiting},
                                                  {"held", kWaiting},
                                                  {"hold", kWaiting},
                                                  {"idle", kWaiting},
                                                  {"i", kWaiting},
                                                  {"running", kRunning},
                                                  {"active", kRunning},
                                                  {"starting", kRunning},
                                                  {"suspended", kRunning},
                                                  {"completing", kRunning},
                                                  {"completed", kDone},
                                                  {"complete", kDone},
                                                  {"finished", kDone},
                                                  {"failed", kFailed},
                                                  {"cancelled", kFailed},
                                                  {"canceled", kFailed},
                                                  {"killed", kFailed},
                                                  {"timeout", kFailed},
                                                  {"exited", kFailed},
                                                  {"gone", kGone}};
  return words;
}

std::string job_id(const std::string& printed, const std::string& expression) {
  const std::vector<std::string> lines = lines_of(printed);
  if (!expression.empty()) {
    const std::regex regex(expression);
    for (const std::string& line : lines) {
      std::smatch match;
      if (std::regex_search(line, match, regex)) return match[1].str();
    }
    return "";
  }
  return lines.empty() ? "" : words_of(lines.back()).front();
}

Told told_of(const std::string& id, bool alone, const process::Said& said,
             const std::map<std::string, std::string>& words) {
  const std::string key = key_of(id);
  Told unknown;
  std::vector<std::string> own, mention;
  for (const std::string* text : {&said.out, &said.err}) {
    for (const std::string& line : lines_of(*text)) {
      const std::vector<std::string> first = words_of(line);
      if (!first.empty() && key_of(first.front()) == key) {
        own.push_back(line);
      } else if (names(line, key) && !of_another(line, key)) {
        mention.push_back(line);
      } else if (alone && said.well() && text == &said.out && first.size() <= kShort &&
                 !of_another(line, key)) {
        mention.push_back(line);
      }
    }
  }
  // Its own line of a list says most.
  for (const auto* list : {&own, &mention}) {
    for (const std::string& line : *list) {
      Told told = told_in(line, key, words);
      if (told.state) return told;
      if (unknown.line.empty() && list == &own) unknown = told;
    }
  }
  if (unknown.line.empty() && alone && said.well() && !mention.empty()) {
    unknown.line = mention.front();
  }
  return unknown;
}

}  // namespace tarflow::command
