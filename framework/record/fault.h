// Why a record cannot be used. It decides what becomes of the file: a damaged one is renamed aside
// and made again; any other is kept where it is, and nothing is written over it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "framework/core/error.h"

namespace tarflow::record {

enum class Fault {
  kAbsent,      // there is no such file
  kDamaged,     // cut short, changed after it was written, or no record at all
  kNewer,       // of a version that this program does not read
  kUnreadable,  // the system does not give it now: permission, I/O error, too many open files
};

class NotRead : public Error {
 public:
  NotRead(Fault fault, std::string what, std::string repair = "")
      : Error(std::move(what), std::move(repair)), fault_(fault) {}
  Fault fault() const { return fault_; }

 private:
  Fault fault_;
};

// Whether nothing has this name. False where the system does not tell, and for a link that leads
// nowhere: what it should lead to may be on a disk that is not mounted now.
bool is_absent(const std::filesystem::path& path);

// Renames `file` to FILE.WORD-1, or to the first such number that is free, and returns that path.
// Throws Error.
std::filesystem::path set_aside(const std::filesystem::path& file, const char* word = "damaged");

}  // namespace tarflow::record
