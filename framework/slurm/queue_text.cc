// Reading what squeue, scontrol and sacct print.
#include <algorithm>
#include <charconv>
#include <sstream>

#include "framework/slurm/queue.h"

namespace tarflow::slurm {
namespace {

constexpr int64_t kMostTasks = 4'000'000;  // MaxArraySize is 4000001 at most

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size() || value < 0) {
    return std::nullopt;
  }
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines = split(text, '\n');
  std::erase_if(lines, [](const std::string& line) { return line.empty(); });
  return lines;
}

std::string stated(std::string text) {
  for (const char* nothing : {"None", "(null)", "N/A", "n/a", "None assigned", "Unknown"}) {
    if (text == nothing) return "";
  }
  return text;
}

// "CANCELLED by 1000", "CANCELLED+".
void set_state(const std::string& text, TaskState& state) {
  state.state = text.substr(0, text.find_first_of(" +,"));
  // "COMPLETED,COMPLETING": it is over when every part says so.
  for (const std::string& part : split(text, ',')) {
    TaskState of_part;
    of_part.state = part.substr(0, part.find_first_of(" +"));
    if (!of_part.over()) state.state = of_part.state;
  }
  constexpr std::string_view kBy = "CANCELLED by ";
  if (text.starts_with(kBy)) state.cancelled = text.substr(kBy.size());
}

// "0:9": status and signal.
void set_exit(const std::string& text, TaskState& state) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() != 2) return;
  state.exit_code = static_cast<int>(number(parts[0]).value_or(0));
  state.signal = static_cast<int>(number(parts[1]).value_or(0));
}

// A task may stand in an answer twice, once for each time it was queued; what is not over holds.
void add(const TaskState& state, TaskStates& states) {
  const auto [known, is_new] = states.try_emplace(state.id, state);
  if (!is_new && (known->second.over() || !state.over())) known->second = state;
}

// One for each task of "5-9%2".
void add_all(const std::string& array, const std::string& tasks, TaskState state,
             TaskStates& states) {
  if (!number(array)) return;
  state.id.array = array;
  if (stated(tasks).empty()) {
    add(state, states);
  } else if (const auto indices = task_indices(tasks)) {
    for (const int64_t index : *indices) {
      state.id.index = index;
      add(state, states);
    }
  }
}

bool is_one_of(const std::string& state, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return state == name; });
}

constexpr size_t kMostNodes = 100'000;

// "rack[1-2]n[08-10]": each range of the first bracket, with each name of what follows it.
std::vector<std::string> expanded(const std::string& text) {
  const size_t open = text.find('[');
  if (text.empty()) return {};
  if (open == std::string::npos) return {text};
  const size_t close = text.find(']', open);
  if (close == std::string::npos) return {};
  std::vector<std::string> rest{""}, names;
  if (close + 1 < text.size()) rest = expanded(text.substr(close + 1));
  for (const std::string& range : split(text.substr(open + 1, close - open - 1), ',')) {
    const std::string first = range.substr(0, range.find('-'));
    const auto indices = task_indices(range);
    if (!indices || (names.size() + indices->size()) * rest.size() > kMostNodes) continue;
    for (const int64_t index : *indices) {
      std::string digits = std::to_string(index);
      if (digits.size() < first.size()) digits.insert(0, first.size() - digits.size(), '0');
      for (const std::string& end : rest) names.push_back(text.substr(0, open) + digits + end);
    }
  }
  return names;
}

// The words NAME=VALUE of a line, where values may have spaces.
std::map<std::string, std::string> fields_of(const std::string& line) {
  std::map<std::string, std::string> fields;
  std::istringstream words(line);
  std::string name;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos && equals > 0) {
      name = word.substr(0, equals);
      fields.try_emplace(name, word.substr(equals + 1));
    } else if (!name.empty()) {
      fields[name] += " " + word;
    }
  }
  return fields;
}

}  // namespace

std::string TaskId::str() const { return index < 0 ? array : array + "_" + std::to_string(index); }

bool TaskState::known() const {
  return running() || over() ||
         is_one_of(state, {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
                           "RESV_DEL_HOLD"});
}

bool TaskState::waiting() const { return !running() && !over(); }

bool TaskState::running() const {
  return is_one_of(state, {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED",
                           "RESIZING", "SIGNALING", "STAGE_OUT"});
}

bool TaskState::over() const {
  return is_one_of(state,
                   {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED",
                    "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "TIMEOUT"});
}

TaskStates read_squeue(const std::string& text) {
  TaskStates states;
  for (const std::string& line : lines_of(text)) {
    const std::vector<std::string> parts = split(line, '|');
    if (parts.size() < 6) continue;
    TaskState state;
    set_state(parts[2], state);
    state.nodes = stated(parts[3]);
    state.elapsed = elapsed_seconds(parts[4]);
    state.reason = parts[5];
    for (size_t i = 6; i < parts.size(); ++i) state.reason += "|" + parts[i];
    state.reason = stated(state.reason);
    add_all(parts[0], parts[1], state, states);
  }
  return states;
}

TaskStates read_scontrol(const std::string& text) {
  TaskStates states;
  for (const std::string& line : lines_of(text)) {
    std::map<std::string, std::string> fields = fields_of(line);
    if (!fields.contains("JobId") || !fields.contains("JobState")) continue;
    TaskState state;
    set_state(fields["JobState"], state);
    state.reason = stated(fields["Reason"]);
    state.nodes = stated(fields["NodeList"]);
    state.elapsed = elapsed_seconds(fields["RunTime"]);
    set_exit(fields["ExitCode"], state);
    const bool array = fields.contains("ArrayJobId");
    add_all(array ? fields["ArrayJobId"] : fields["JobId"], fields["ArrayTaskId"], state, states);
  }
  return states;
}

TaskStates read_sacct(const std::string& text) {
  TaskStates states;
  for (const std::string& line : lines_of(text)) {
    const std::vector<std::string> parts = split(line, '|');
    if (parts.size() < 6) continue;
    TaskState state;
    set_state(parts[1], state);
    set_exit(parts[2], state);
    state.nodes = stated(parts[3]);
    state.elapsed = static_cast<double>(number(parts[4]).value_or(0));
    state.reason = stated(parts[5]);
    const size_t bar = parts[0].find('_');
    std::string tasks = bar == std::string::npos ? "" : parts[0].substr(bar + 1);
    if (tasks.starts_with("[")) tasks = tasks.substr(1, tasks.find(']') - 1);
    if (bar == std::string::npos || !tasks.empty()) {
      add_all(parts[0].substr(0, bar), tasks, state, states);
    }
  }
  return states;
}

std::optional<std::vector<int64_t>> task_indices(const std::string& text) {
  std::vector<int64_t> indices;
  for (const std::string& part : split(text.substr(0, text.find('%')), ',')) {
    const size_t colon = part.find(':');
    const std::string range = part.substr(0, colon);
    const size_t dash = range.find('-');
    const auto first = number(range.substr(0, dash));
    const auto last = dash == std::string::npos ? first : number(range.substr(dash + 1));
    const auto step = colon == std::string::npos ? 1 : number(part.substr(colon + 1));
    if (!first || !last || !step || *step < 1 || *last > kMostTasks) return std::nullopt;
    for (int64_t index = *first; index <= *last; index += *step) indices.push_back(index);
  }
  return indices;
}

double elapsed_seconds(const std::string& text) {
  const size_t dash = text.find('-');
  const auto days = dash == std::string::npos ? 0 : number(text.substr(0, dash));
  const std::vector<std::string> parts =
      split(dash == std::string::npos ? text : text.substr(dash + 1), ':');
  if (!days || parts.size() < 2 || parts.size() > 3) return 0;
  int64_t seconds = 0;
  for (const std::string& part : parts) {
    const auto value = number(part);
    if (!value) return 0;
    seconds = 60 * seconds + *value;
  }
  return static_cast<double>(86400 * *days + seconds);
}

std::vector<std::string> node_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;  // of the name or names up to the next comma outside brackets
    for (bool inside = false; end < text.size() && (inside || text[end] != ','); ++end) {
      inside = text[end] == '[' || (inside && text[end] != ']');
    }
    for (std::string& name : expanded(text.substr(at, end - at))) names.push_back(std::move(name));
    at = end + 1;
  }
  return names;
}

}  // namespace tarflow::slurm
