// Which sweep file the results of a name belong to, so that two files of one name in different
// folders never take each other's results away.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "framework/job/job.h"

namespace tarflow::job {

// Of all points of a sweep, in no order: two files with the same points are the same sweep.
std::string points_digest(const Jobs& jobs);

// Throws Error that names both files when results/<sweep> belongs to another sweep file. That is
// the file noted in its sweep.json; it belongs to `sweep_file` as well when
//   - nothing is noted,
//   - the noted file is gone (it was moved or renamed), unless `deletes`: a file on a disk that is
//     not mounted is gone too, and what is deleted cannot be had again,
//   - both names lead to one file,
//   - folder and file were copied or moved together,
//   - both have the same points, which `digest` returns (points_digest); called only if needed.
void require_owner(const std::filesystem::path& folder, const std::filesystem::path& sweep_file,
                   const std::function<std::string()>& digest, bool deletes = false);

// What a run knows of its sweep, for the analysis.
struct SweepNow {
  std::string digest;            // points_digest
  std::vector<std::string> ids;  // of all points: a job without any of them left the sweep
  std::vector<std::string> set;  // words of --set, which a command for the same points needs
  // With --set: of `ids`, those that the file as it stands has not.
  std::vector<std::string> of_set = {};
};

// Points that calls with the same words of --set had and the file has not.
struct SetCall {
  std::vector<std::string> set;  // its words: "num_images=500"
  std::set<std::string> ids;
  bool operator==(const SetCall&) const = default;
};

// The calls with --set whose results may be in results/<sweep>; none where nothing is noted. A
// point that the file has since got, as a run without --set notes, is not among them. Throws Error
// when the note cannot be read.
std::vector<SetCall> noted_set_calls(const std::filesystem::path& folder);

// Notes that results/<sweep> belongs to the file, and what the sweep is now. `notice` is called
// when another file was noted. The caller holds the lease. Throws Error when the note cannot be
// written.
void note_owner(const std::filesystem::path& folder, const std::filesystem::path& sweep_file,
                const SweepNow& now, const std::function<void(const std::string&)>& notice);

}  // namespace tarflow::job
