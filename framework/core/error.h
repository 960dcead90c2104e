// Errors say what is wrong, where, and how to repair it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tarflow {

// A position in a text file. Lines and columns count from 1; 0 means unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  // "file:line:column", leaving out what is unknown; "" without a file.
  std::string str() const;
  bool operator==(const Place&) const = default;
};

// One thing that is wrong.
struct Problem {
  Place place;
  std::string what;
  std::string repair;  // what to do about it; may be empty
  std::string
      source_line;  // the offending line, shown with a caret under place.column; may be empty

  // Several lines without a trailing newline: place, what, source line and caret, repair.
  std::string str() const;
};

// Thrown for everything a user can cause; caught once, in main.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string what, std::string repair = "", Place place = {});
  explicit Error(Problem problem);
  explicit Error(std::vector<Problem> problems);  // all that is wrong, reported at once; not empty

  const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::vector<Problem> problems_;
};

// The candidate closest to `word` by edit distance, "" when none is near enough to be a likely
// slip.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// "did you mean `x`?" or, when nothing is near, "valid: a, b, c".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace tarflow
