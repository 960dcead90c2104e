// What the program of an array task writes down as it goes: a file a task, so that no two nodes
// write to one, a line an event.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/slurm/submission.h"

namespace tarflow::slurm {

struct TaskEvent {
  // "start": the program began. "told": Slurm sent it a signal. "job": an attempt of a job ended.
  // "requeue": it put itself back into the queue. "refused": it could not. "end": the program ends.
  // "verdict": what run_sweep judged of the task when it was over.
  std::string what;
  std::string time, host;  // UTC; Slurm's name of the node
  size_t task = 0;
  int restart = 0;       // SLURM_RESTART_COUNT: which start of the task it was
  std::string job;       // hash
  std::string outcome;   // of a job: "done", "again" (failed, tried again, maybe elsewhere),
                         // "failed" (for good), "stopped"
  std::string text;      // the reason, the signal's name
  bool silent = false;   // the job's worker failed before it printed anything
  bool starved = false;  // the worker was killed, likely for memory, and gets more the next time
  bool unable = false;   // the worker could not be run on this node: a library or a file is missing
  bool killed = false;   // a stopped job's worker did not end by itself: it may have kept nothing
  double reached = 0;    // of a stopped job, 0..1: how far it came
  double seconds = 0;    // that the attempt took
  size_t left = 0;       // at the end: jobs of the task that are to be run yet
  size_t failed = 0;     // and those that failed for good
};

std::filesystem::path events_file(const SubmissionFolder& folder, size_t task);

// A line in the file, written at once. Throws Error when it cannot be.
void append_event(const SubmissionFolder& folder, const TaskEvent& event);

// Of one task, in order; lines that are damaged are passed over.
std::vector<TaskEvent> read_events(const SubmissionFolder& folder, size_t task);

// All tasks wrote down that they ended with nothing left to do, so that Slurm need not be asked.
bool all_tasks_finished(const SubmissionFolder& folder, const Submission& submission);

}  // namespace tarflow::slurm
