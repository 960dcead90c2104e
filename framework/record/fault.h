// Why a record cannot be used. It decides what becomes of the file: a damaged one is renamed aside
// and made again; any other is kept where it is, and nothing is written over it.
#pragma once

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

}  // namespace tarflow::record
