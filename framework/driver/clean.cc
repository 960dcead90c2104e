// run_sweep clean: deletes job folders that no point of the sweep uses, after asking.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <set>

#include "framework/core/arguments.h"
#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/driver/look.h"
#include "framework/job/estimate.h"
#include "framework/job/owner.h"
#include "framework/job/store.h"
#include "framework/process/lease.h"
#include "framework/slurm/cancel.h"
#include "framework/slurm/kept_programs.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

// A job folder that holds no result of the sweep as it is now, with its size in bytes.
struct Orphan {
  fs::path folder;
  double bytes = 0;
  std::string what;  // "finished, 3 points of evaluate"
  // Why it must not be deleted; "": it may be.
  std::string spared;
  std::string set;  // "--set num_images=500" where a call with it computed this; "" else
};

double folder_bytes(const fs::path& folder) {
  double bytes = 0;
  std::error_code failed;
  for (fs::recursive_directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) bytes += static_cast<double>(entry->file_size(ignored));
  }
  return bytes;
}

// Files that took work to make.
bool has_work(const job::JobFolder& folder) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder.path, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    const bool result = name.starts_with("result.h5") || name.starts_with("previous.h5");
    if (result || name.starts_with("partial.h5")) return true;
  }
  return failed && !is_absent(folder.path);  // who knows
}

std::string what_is_in(const job::JobFolder& folder, const job::Job& job) {
  const bool whole = !is_absent(folder.result()) || !is_absent(folder.previous());
  return fmt::format("{}, {} of {}", whole ? "finished" : "unfinished",
                     job::counted(job.points.size(), "point"), job.experiment);
}

// Hashes of the jobs whose folders the plan uses. A job yet to be run may have something to go on
// from.
std::set<std::string> plan_hashes(const job::Plan& plan) {
  std::set<std::string> used;
  for (const auto& [key, point] : plan.done.by_key) used.insert(point.job);
  for (const job::Jobs* jobs : {&plan.pending, &plan.all}) {
    for (const job::Job& job : *jobs) used.insert(job.hash);
  }
  for (const job::BadResult& kept : plan.done.kept) {
    used.insert(kept.folder.path.filename().string());
  }
  return used;
}

// What the sweep has, whatever of it is done or can run.
struct Points {
  std::set<std::string> ids, keys;

  explicit Points(const job::Plan& plan) {
    for (const job::Job& job : plan.all) {
      for (const job::JobPoint& point : job.points) {
        ids.insert(point.id);
        keys.insert(point.key);
      }
    }
    for (const sweep::Point& point : plan.cannot_run) ids.insert(point.id);
  }
};

// Why the folder of a job that no plan names must stay; "" when it need not.
std::string why_spared(const job::Plan& plan, const Points& points, const job::Job& job) {
  size_t here = 0, superseded = 0, others = 0;
  for (const job::JobPoint& point : job.points) {
    if (!points.ids.contains(point.id)) continue;
    ++here;
    superseded += is_done(plan, point);
    others += !points.keys.contains(point.key);
  }
  if (here == superseded) return "";  // another folder has these
  return others > 0 ? "results of this sweep's points for another device or other files"
                    : "points of this sweep, in a job that is divided differently";
}

// The words of the call with --set to which a point of the job belongs; "" for none.
std::string set_of(const std::vector<job::SetCall>& calls, const job::Job& job) {
  for (const job::SetCall& call : calls) {
    for (const job::JobPoint& point : job.points) {
      if (!call.ids.contains(point.id)) continue;
      std::string words;
      for (const std::string& word : call.set)
        words += fmt::format("{}--set {}", words.empty() ? "" : " ", shell_word(word));
      return words;
    }
  }
  return "";
}

// Spared are folders with points that the sweep has (of another device, of files that have changed
// since, of jobs divided otherwise), those of jobs in `held`, which a cluster has, and those of
// which it cannot be told what they hold. Throws Error when the folders cannot be listed.
std::vector<Orphan> find_orphans(const job::Plan& plan, const std::set<std::string>& held) {
  const std::set<std::string> used = plan_hashes(plan);
  const std::vector<job::SetCall> calls = job::noted_set_calls(plan.folder);
  const Points points(plan);
  std::vector<Orphan> orphans;
  for (const job::JobFolder& folder : job::folders_in(plan.jobs_folder())) {
    const std::string name = folder.path.filename().string();
    if (used.contains(name)) continue;
    Orphan orphan{folder.path, folder_bytes(folder.path), "not a job", "", ""};
    try {
      const job::Job job = job_in(folder, folder.result());
      orphan.what = what_is_in(folder, job);
      orphan.spared = why_spared(plan, points, job);
      orphan.set = set_of(calls, job);
    } catch (const Error&) {
      if (has_work(folder)) orphan.spared = "its contents cannot be identified";
    }
    if (held.contains(name)) orphan.spared = "its job is in the queue";
    orphans.push_back(std::move(orphan));
  }
  return orphans;
}

double bytes_of(const std::vector<Orphan>& orphans) {
  double bytes = 0;
  for (const Orphan& orphan : orphans) bytes += orphan.bytes;
  return bytes;
}

void print_kept(const Orphan& orphan, const std::string& why) {
  fmt::print("kept: {}  {}  {} ({})\n", orphan.folder.string(), job::bytes_text(orphan.bytes),
             orphan.what, why);
}

// Takes those out of `orphans` of which `text` is said.
std::vector<Orphan> take_out(std::vector<Orphan>& orphans, std::string Orphan::*text) {
  const auto others = [&](const Orphan& orphan) { return (orphan.*text).empty(); };
  const auto first = std::stable_partition(orphans.begin(), orphans.end(), others);
  std::vector<Orphan> taken(std::make_move_iterator(first), std::make_move_iterator(orphans.end()));
  orphans.erase(first, orphans.end());
  return taken;
}

// Names what must stay, and leaves it out.
void keep_spared(std::vector<Orphan>& orphans) {
  for (const Orphan& orphan : take_out(orphans, &Orphan::spared)) print_kept(orphan, orphan.spared);
}

// The same with results of calls with --set, which the file alone does not tell.
void keep_set_calls(std::vector<Orphan>& orphans, const std::string& name) {
  const std::vector<Orphan> kept = take_out(orphans, &Orphan::set);
  if (kept.empty()) return;
  for (const Orphan& orphan : kept) print_kept(orphan, "computed with " + orphan.set);
  fmt::print("{}: kept {}, {} in all, computed by calls with --set; clean --set-calls deletes {}\n",
             name, job::counted(kept.size(), "job folder"), job::bytes_text(bytes_of(kept)),
             kept.size() == 1 ? "it too" : "them too");
}

int remove_all(const std::vector<Orphan>& orphans, double bytes) {
  size_t left = 0;
  for (const Orphan& orphan : orphans) {
    std::error_code failed;
    fs::remove_all(orphan.folder, failed);
    if (!failed) continue;
    ++left;
    complain(fmt::format("cannot delete {}: {}", orphan.folder.string(), failed.message()));
  }
  if (left == 0) return print(fmt::format("deleted, {} freed\n", job::bytes_text(bytes)));
  return kNotAllDone;
}

bool confirmed() {
  if (::isatty(STDIN_FILENO) == 0) {
    complain("this deletes results, and there is no terminal to ask: add --yes");
    return false;
  }
  fmt::print("delete them? [y/N] ");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

// Without asking: they are copies.
void remove_programs(const Look& look, const job::Plan& plan) {
  const slurm::RemovedPrograms removed = slurm::remove_unused_programs(
      look.options().results, plan.cache() / "programs", look.folder());
  if (removed.copies == 0) return;
  complain(fmt::format("deleted {} of the programs that no job in a queue uses, {} freed",
                       removed.copies == 1 ? "a copy" : fmt::format("{} copies", removed.copies),
                       job::bytes_text(removed.bytes)));
}

}  // namespace

int clean_sweep(const Look& look) {
  if (!fs::exists(look.folder())) return print(fmt::format("{}: nothing to clean\n", look.name()));
  const process::Lease lease(look.folder(), look.options().command, complain);
  const std::set<std::string> held = slurm::jobs_with_slurm(look.folder());
  const job::Plan plan = look.plan();
  remove_programs(look, plan);
  std::vector<Orphan> orphans = find_orphans(plan, held);
  keep_spared(orphans);
  if (!look.options().set_calls) keep_set_calls(orphans, look.name());
  if (orphans.empty()) return print(fmt::format("{}: nothing to clean\n", look.name()));
  const double bytes = bytes_of(orphans);
  size_t of_set = 0;
  for (const Orphan& orphan : orphans) {
    of_set += !orphan.set.empty();
    fmt::print("  {}  {}  {}{}\n", orphan.folder.string(), job::bytes_text(orphan.bytes),
               orphan.what, orphan.set.empty() ? "" : ", computed with " + orphan.set);
  }
  fmt::print("{}: no point of the sweep uses {}, {} in all{}\n", look.name(),
             job::counted(orphans.size(), "job folder"), job::bytes_text(bytes),
             of_set > 0 ? fmt::format("; {} of them computed with --set", of_set) : "");
  if (!look.options().yes && !confirmed()) {
    complain("nothing was deleted");
    return kNotAllDone;
  }
  return remove_all(orphans, bytes);
}

}  // namespace tarflow::driver
