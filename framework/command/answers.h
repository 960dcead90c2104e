// What the commands of a queue system print, read with patience: other versions print it in other
// ways, and other people's jobs and banners stand beside ours.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "framework/command/templates.h"
#include "framework/process/command.h"

namespace tarflow::command {

enum class State {
  kWaiting,
  kRunning,
  kDone,    // it ended; whether its jobs are done is told by their own folders
  kFailed,  // it ended, and the queue calls that a failure
  kGone,    // the queue says that it does not know it
};
const char* name_of(State state);
// Of a profile: "waiting", "running", "done", "failed", "gone"; nothing for other words.
std::optional<State> state_named(const std::string& name);
std::vector<std::string> state_names();

// The words of PBS, LSF and Grid Engine and some of others, in small letters. Those with a space
// are phrases, searched for in lines that name the job.
const std::map<std::string, State>& usual_words();

// Of what `submit` printed: the first match of `expression`, else the first word of the last line
// that has one. "": there is none.
std::string job_id(const std::string& printed, const std::string& expression);

// What an answer says of one job.
struct Told {
  std::optional<State> state;  // nothing: the answer is silent, or has no word that is known
  std::string line;            // that names the job; "": it is not named
  std::string word;            // that told the state
  bool failed = false;         // the command did, so that its silence says little
};

// `alone`: only this job was asked about, so that lines that name no job are its own.
Told told_of(const std::string& id, bool alone, const process::Said& said,
             const std::map<std::string, std::string>& words);

}  // namespace tarflow::command
