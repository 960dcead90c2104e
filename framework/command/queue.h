// A queue system asked through the templates of a profile.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/command/answers.h"
#include "framework/core/error.h"
#include "framework/process/command.h"

namespace tarflow::command {

// The queue did not take a job: its command ended with an error, so that nothing is queued.
class Refused : public Error {
 public:
  using Error::Error;
};

// Runs `submit` once and returns the job's id. Throws Refused; and Error where the command did not
// end in time or printed no id: then the queue may have the job.
std::string submit(const Templates& templates, const Fields& fields, const process::Ask& ask);

// Runs `cancel`. "" when it went well or the queue says that the job has ended, else its complaint.
std::string cancel(const Templates& templates, const std::string& id, const process::Ask& ask);

// What is known of a job that is not gone.
struct Standing {
  State state = State::kWaiting;
  std::string text;  // why it waits or ended, in words; "" for a running one
};

// Looks at jobs again and again, and remembers for how long the queue was silent about each.
class Watch {
 public:
  // `notice` is told what the user should know, each thing once; `beat` is called between two
  // commands.
  Watch(process::Ask ask, std::function<void(const std::string&)> notice,
        std::function<void()> beat)
      : ask_(std::move(ask)), notice_(std::move(notice)), beat_(std::move(beat)) {}

  // Asks about jobs of one profile. A job that is absent in what it returns is gone, by the queue's
  // word or since it was silent Templates::silent_answers times in a row. A command that fails says
  // little: a server may be away for an hour while its jobs run. Only a hundred times as many of
  // these count as silence.
  std::map<std::string, Standing> look(const Templates& templates,
                                       const std::vector<std::string>& ids);

 private:
  std::map<std::string, Told> ask_about(const Templates& templates,
                                        const std::vector<std::string>& ids);
  void add(const Templates& templates, const std::string& id, const Told& told,
           std::map<std::string, Standing>& standing);
  void add_silent(const Templates& templates, const std::string& id, bool failed,
                  std::map<std::string, Standing>& standing);

  process::Ask ask_;
  std::function<void(const std::string&)> notice_;
  std::function<void()> beat_;
  struct Silence {
    int64_t answers = 0;   // in a row that say nothing of the job
    int64_t failures = 0;  // commands that failed, since the last answer
  };
  std::map<std::string, Silence> silent_;  // by id
  std::string complaint_;                  // of the last command that failed
  bool said_unknown_ = false, said_silent_ = false;
};

// Of a template: the program that it runs first, "" where that cannot be told.
std::string program_of(const std::string& text);

}  // namespace tarflow::command
