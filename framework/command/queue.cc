#include "framework/command/queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

namespace tarflow::command {
namespace {

constexpr size_t kMostIds = 200;  // of one command line
constexpr int kTooSlow = 124;
constexpr int64_t kFailuresOfASilence = 100;
constexpr size_t kShown = 200;  // characters of an answer in a message

process::Said run(const std::string& line, const process::Ask& ask) {
  return ask({"/bin/sh", "-c", line});
}

std::string shown(const std::string& text) {
  std::string line = text.substr(0, kShown);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

std::string submit(const Templates& templates, const Fields& fields, const process::Ask& ask) {
  const std::string line = filled(templates.submit, fields);
  const process::Said said = run(line, ask);
  if (said.status == kTooSlow) {
    throw Error(
        fmt::format("`submit` did not end in time, so that the job's id is not known: {}", line),
        "if the queue has this job, it runs nothing; run the same command again");
  }
  if (!said.well()) {
    throw Refused(fmt::format("the queue did not take a job: {} ({})", said.complaint(), line),
                  "run this command by hand, and correct `submit` in the cluster profile");
  }
  const std::string id = job_id(said.out, templates.id);
  if (id.empty()) {
    throw Error(fmt::format("`submit` printed no job id, but `{}`: {}", shown(said.out), line),
                "if the queue has this job, it runs nothing; state in `id` of the cluster profile "
                "how the id is found: id: 'Job <([0-9]+)>'");
  }
  return id;
}

std::string cancel(const Templates& templates, const std::string& id, const process::Ask& ask) {
  const process::Said said = run(filled(templates.cancel, {{{"id", id}}}), ask);
  if (said.well()) return "";
  const Told told = told_of(id, /*alone=*/true, said, templates.words);
  const bool over = told.state && *told.state != State::kWaiting && *told.state != State::kRunning;
  return over ? "" : said.complaint();
}

std::map<std::string, Standing> Watch::look(const Templates& templates,
                                            const std::vector<std::string>& ids) {
  std::map<std::string, Standing> standing;
  for (const auto& [id, told] : ask_about(templates, ids)) add(templates, id, told, standing);
  return standing;
}

std::map<std::string, Told> Watch::ask_about(const Templates& templates,
                                             const std::vector<std::string>& ids) {
  std::map<std::string, Told> told;
  bool slow = false;  // a server that does not answer is not asked about each job
  const bool each = has_field(templates.state, "id");
  const bool list = has_field(templates.state, "ids");
  const size_t step = each ? 1 : list ? kMostIds : std::max<size_t>(ids.size(), 1);
  for (size_t begin = 0; begin < ids.size(); begin += step) {
    beat_();
    Fields fields;
    for (size_t i = begin; i < std::min(begin + step, ids.size()); ++i) {
      fields.ids.push_back(ids[i]);
    }
    fields.words["id"] = fields.ids.front();
    const process::Said said =
        slow ? process::Said{kTooSlow, "", complaint_} : run(filled(templates.state, fields), ask_);
    slow = slow || said.status == kTooSlow;
    complaint_ = said.well() ? "" : said.complaint();
    for (const std::string& id : fields.ids) {
      told[id] = told_of(id, each, said, templates.words);
      told[id].failed = !said.well();
    }
  }
  return told;
}

void Watch::add(const Templates& templates, const std::string& id, const Told& told,
                std::map<std::string, Standing>& standing) {
  if (told.state || !told.line.empty()) silent_.erase(id);
  if (told.state) {
    if (*told.state == State::kGone) return;
    const bool running = *told.state == State::kRunning;
    standing[id] = {*told.state, running ? "" : fmt::format("the queue says {}", told.word)};
  } else if (!told.line.empty()) {
    if (!std::exchange(said_unknown_, true)) {
      notice_(
          fmt::format("the queue says `{}` of job {}, which has no word that is known here: "
                      "such jobs count as waiting; state the word in `words` of the cluster "
                      "profile",
                      shown(told.line), id));
    }
    standing[id] = {State::kWaiting,
                    fmt::format("in a state that is not known here, `{}`", shown(told.line))};
  } else {
    add_silent(templates, id, told.failed, standing);
  }
}

void Watch::add_silent(const Templates& templates, const std::string& id, bool failed,
                       std::map<std::string, Standing>& standing) {
  Silence& silence = silent_[id];
  ++(failed ? silence.failures : silence.answers);
  const bool lost = silence.answers >= templates.silent_answers ||
                    silence.failures >= kFailuresOfASilence * templates.silent_answers;
  if (lost) return;
  if (failed) {
    if (!std::exchange(said_silent_, true)) {
      notice_(
          fmt::format("`state` of the cluster profile fails: {}; the jobs count as waiting "
                      "until it answers",
                      complaint_));
    }
    standing[id] = {State::kWaiting, "`state` of the cluster profile fails"};
    return;
  }
  standing[id] = {State::kWaiting, fmt::format("the queue said nothing of it, {} of {} times",
                                               silence.answers, templates.silent_answers)};
}

std::string program_of(const std::string& text) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const bool assignment = word.find('=') != std::string::npos;
    if (!assignment) {
      const bool plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '/' || c == '.' || c == '+';
      });
      return plain ? word : "";
    }
  }
  return "";
}

}  // namespace tarflow::command
