#include "framework/slurm/command_profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framework/command/answers.h"
#include "framework/core/error.h"
#include "framework/slurm/profile_amounts.h"
#include "framework/sweep/scalars.h"

namespace tarflow::slurm {
namespace {

using command::Template;
using sweep::Node;
using sweep::Report;

constexpr const char* kOfCommand[] = {"submit", "state", "cancel", "id", "words", "silent_answers"};
// Options of sbatch, or what only Slurm does.
constexpr const char* kOfSlurm[] = {"partition", "account",     "qos",   "constraint",
                                    "exclude",   "gpu_type",    "extra", "requeue",
                                    "max_array", "max_parallel"};

const char* example_of(Template which) {
  switch (which) {
    case Template::kSubmit:
      return "for PBS: submit: qsub -N {name} -o {log} {script}";
    case Template::kState:
      return "for PBS: state: qstat -x {ids}";
    case Template::kCancel:
      return "for PBS: cancel: qdel {id}";
  }
  return "";
}

void require_template(const Node& root, Template which, const std::string& text, Report& report) {
  const sweep::Entry* entry = root.find(command::name_of(which));
  if (!entry) {
    report.error(
        root.mark,
        fmt::format("`executor: command` needs `{}`, which is not stated", command::name_of(which)),
        example_of(which));
  } else if (const auto fault = command::fault_of(which, text); fault && !text.empty()) {
    report.error(entry->value->mark, fault->what, fault->repair);
  }
}

// Fields of `submit` that need a key of the profile.
void require_values(const Node& submit, const ClusterProfile& profile, Report& report) {
  const auto need = [&](const char* field, bool stated, const char* key) {
    if (stated || !command::has_field(profile.templates.submit, field)) return;
    report.error(
        submit.mark,
        fmt::format("`submit` has the field {{{}}}, but the profile states no `{}`", field, key),
        fmt::format("add `{}`, or remove the field", key));
  };
  const bool memory =
      !profile.mem.empty() || !profile.mem_per_cpu.empty() || !profile.mem_per_gpu.empty();
  for (const char* field : {"mem", "mem_mb", "mem_gb"}) need(field, memory, "mem");
  for (const char* field : {"minutes", "seconds", "time"}) need(field, profile.time > 0, "time");
  need("cpus", profile.cpus_per_task > 0, "cpus_per_task");
}

void require_amount(const Node& root, const char* key, const std::string& value, Report& report) {
  const sweep::Entry* entry = root.find(key);
  if (!entry || value.empty() || megabytes_of(value)) return;
  report.error(entry->value->mark,
               fmt::format("`{}`: expected an amount of memory, found `{}`", key, value),
               "write a number and a unit: 32 GB");
}

}  // namespace

void read_words(const Node& node, std::map<std::string, std::string>& words, Report& report) {
  if (!sweep::read_map(node, "words", report)) return;
  for (const sweep::Entry& entry : node.entries) {
    const auto meaning = sweep::read_text(*entry.value, entry.key, report);
    if (!meaning) continue;
    if (command::state_named(*meaning)) {
      words[entry.key] = *meaning;
      continue;
    }
    report.error(entry.value->mark,
                 fmt::format("the word `{}` cannot mean `{}`", entry.key, *meaning),
                 did_you_mean(*meaning, command::state_names()));
  }
}

void require_fitting_command(const Node& root, const ClusterProfile& profile, Report& report) {
  if (!profile.by_command()) {
    for (const char* key : kOfCommand) {
      const sweep::Entry* entry = root.find(key);
      if (!entry) continue;
      report.error(entry->value->mark,
                   fmt::format("`{}` is for `executor: command`, but the executor is `{}`", key,
                               name_of(profile.executor)),
                   "remove it, or write `executor: command`");
    }
    return;
  }
  require_template(root, Template::kSubmit, profile.templates.submit, report);
  require_template(root, Template::kState, profile.templates.state, report);
  require_template(root, Template::kCancel, profile.templates.cancel, report);
  if (const sweep::Entry* entry = root.find("id"); entry && !profile.templates.id.empty()) {
    if (const auto fault = command::fault_of_id(profile.templates.id)) {
      report.error(entry->value->mark, fault->what, fault->repair);
    }
  }
  for (const char* key : kOfSlurm) {
    const sweep::Entry* entry = root.find(key);
    if (!entry) continue;
    report.error(entry->value->mark,
                 fmt::format("`{}` is for `executor: slurm`, but the executor is `command`", key),
                 "remove it; write options of the queue into `submit`");
  }
  if (const sweep::Entry* entry = root.find("gpu_request");
      entry && profile.gpu_request != GpuRequest::kNone) {
    report.error(entry->value->mark,
                 "with `executor: command`, `gpu_request` can only be `none`: jobs compute on CPUs",
                 "remove it; write {gpus} into `submit`");
  }
  if (const sweep::Entry* entry = root.find("submit")) {
    require_values(*entry->value, profile, report);
  }
  require_amount(root, "mem", profile.mem, report);
  require_amount(root, "mem_per_gpu", profile.mem_per_gpu, report);
  require_amount(root, "mem_per_cpu", profile.mem_per_cpu, report);
}

}  // namespace tarflow::slurm
