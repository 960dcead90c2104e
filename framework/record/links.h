// Arrays of a sweep's file that lie in the files of its jobs, as HDF5 external links. HDF5 never
// follows them here: the file of a link is checked before HDF5 opens it (envelope.h).
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "framework/core/error.h"
#include "framework/record/hdf5.h"

namespace tarflow::record {

struct Link {
  std::string file;  // relative to the folder of the sweep's file
  std::string path;  // of the dataset in it
};

// The link that the member of a group is; nothing if it is the dataset itself. Throws Error.
std::optional<Link> link_at(hid_t group, const std::string& name);
void write_link(hid_t group, const std::string& name, const Link& link);

// Opens the file of a link. Throws Error naming it.
using OpenLinked = std::function<hid_t(const Link&)>;

// The files to which a sweep's file links. For one thread.
class LinkedFiles {
 public:
  // `file`: of a sweep, open, at `record`. No links where it has none.
  LinkedFiles(std::filesystem::path record, hid_t file);

  bool empty() const { return sha256_.empty(); }
  // The file of a link, checked and open until another one is asked for. It is read and checked
  // whole the first time, and again if it was replaced since.
  hid_t open(const Link& link);
  // open() of this object; nothing where the file has no links.
  OpenLinked opener();
  // What is wrong with a linked file as far as its first 512 bytes tell. Nothing if it can be read.
  std::optional<Problem> problem(const std::string& file) const;
  // The same of the file that holds the linked arrays of this job.
  std::optional<Problem> problem_of_job(const std::string& job) const;
  // The linked files that cannot be read, each once.
  std::vector<Problem> problems() const;

 private:
  std::filesystem::path place_of(const std::string& file) const;
  Problem lost(const std::string& file, const std::string& why) const;

  std::filesystem::path record_;
  std::map<std::string, std::string> sha256_;   // by the file in the links
  std::map<std::string, std::string> by_job_;   // the file of a job that has links
  std::map<std::string, std::string> checked_;  // stamp of files that were read and checked
  std::pair<std::string, Handle> last_;
};

}  // namespace tarflow::record
