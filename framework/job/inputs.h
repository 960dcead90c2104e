// What a job reads, proven to be what it was planned with.
//
// A job is known by the contents of its files, but it opens them by their paths, perhaps days
// later. Whoever opens one does so through Inputs::read, which proves before and after that the
// content is the planned one: by the stamp where that is the planned one, else by reading the file.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "framework/core/error.h"
#include "framework/images/folder.h"
#include "framework/job/content.h"
#include "framework/job/job.h"

namespace tarflow::job {

struct Input {
  std::string path;  // as the job's settings name it
  // As the settings of the field that names it state it. It means nothing for a file.
  images::Layout layout = images::Layout::kAuto;
  std::string
      content;        // SHA-256 as ContentHasher::hash; or "made by <key>", by a point of the sweep
  std::string stamp;  // as planned; "": unknown
};

// The key of an input in Job::stamps: its path, and the layout where one is stated.
std::string stamp_key(const std::string& path, images::Layout layout = images::Layout::kAuto);

// The checkpoint and what path settings name, each path with each of its layouts once.
std::vector<Input> inputs_of(const Job& job);

class Inputs {
 public:
  // Remembers in `cache_folder`, results/<sweep>/cache, the hashes of files whose stamp is not the
  // planned one, so that many jobs read them once; beside it are the results by which files that
  // the sweep makes are proven. Empty: remembers nothing, and takes made files as they are.
  // `notice` is told of much to be read.
  explicit Inputs(const Job& job, std::filesystem::path cache_folder = {}, ReadNotice notice = {});

  // Returns what `read`() returns, which opens `path` and no later reads more of it. Throws Error
  // when the content is not the planned one before, or may have changed meanwhile. A folder that is
  // planned with two layouts is proven with both. Of a path that the job does not name only the
  // latter is checked.
  template <typename Read>
  auto read(const std::string& path, const Read& read) {
    const std::string stamps = prove(path);
    if constexpr (std::is_void_v<decltype(read())>) {
      attempt(path, stamps, read);
      require_stamp(path, stamps);
    } else {
      auto result = attempt(path, stamps, read);
      require_stamp(path, stamps);
      return result;
    }
  }

  // `path` is named and the job does without it, for instance since what follows from the planned
  // content is kept.
  void not_needed(const std::string& path) {
    const auto open = open_.find(path);
    if (open != open_.end() && open->second.empty()) open_.erase(open);  // else it was read as well
  }

  // To be called before results are written: all inputs that were read are as planned, and so are
  // those that were not read although nobody said that they are not needed. Returns the latter.
  // Throws Error.
  std::vector<std::string> require_unchanged();

 private:
  template <typename Read>
  decltype(auto) attempt(const std::string& path, const std::string& stamps,
                         const Read& read) const {
    try {
      return read();
    } catch (const Error&) {
      // A file that changes under its reader looks damaged.
      if (planned_.contains(path)) require_stamp(path, stamps);
      throw;
    }
  }

  // Returns the stamps, one for each layout, under which the content is the planned one; or the
  // stamp of a path that the job does not name. Throws Error.
  std::string prove(const std::string& path);
  std::string prove(const Input& input);                  // the same of one layout
  std::string stamps_now(const std::string& path) const;  // as prove() returns them
  void require_stamp(const std::string& path, const std::string& stamps) const;

  std::filesystem::path cache_folder_;
  ReadNotice notice_;
  std::map<std::string, std::vector<Input>> planned_;  // by path
  std::map<std::string, std::string> open_;  // path -> stamps of the proof; "": not yet proven
};

}  // namespace tarflow::job
