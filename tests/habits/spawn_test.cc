// Processes are made in framework/process alone: what a child keeps of its parent (signals,
// descriptors, its group, its life) is decided in one place.
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "tests/habits/source_files.h"

namespace tarflow::habits {
namespace {

// A quote in the place of the argument: it is a call in a script for another program.
bool makes_a_process(const std::string& line) {
  static const std::regex call(
      R"((^|[^\w.>])(fork|vfork|execv?|execl[ep]?|execvpe?|execve(at)?|fexecve|posix_spawnp?|)"
      R"(popen|system)\s*\(\s*(?!'))");
  return std::regex_search(code_of(line), call);
}

TEST(Spawn, OnlyFrameworkProcessMakesProcesses) {
  size_t seen = 0;
  for (const auto& file :
       source_files({"framework", "analysis", "experiments"}, {".h", ".cc", ".cu", ".cuh"})) {
    const bool own = file.string().starts_with("framework/process/");
    const auto lines = read_lines(file);
    for (size_t i = 0; i < lines.size(); ++i) {
      if (!makes_a_process(lines[i])) continue;
      ++seen;
      EXPECT_TRUE(own) << file.string() << ":" << i + 1 << " " << lines[i]
                       << "\n  call spawn, run_aside or run_command of framework/process";
    }
  }
  EXPECT_GT(seen, 0u) << "those of framework/process itself";
}

TEST(Spawn, CallsAreSeen) {
  for (const char* line :
       {"pid_t child = ::fork();", "  fork ();", "std::system(line.c_str());",
        "::execl(\"/bin/sh\", \"sh\", nullptr);", "execvpe(a, b, c);",
        "posix_spawnp(&child, name, 0, 0, a, b)", "FILE* pipe = popen(x, y);", "system(\"ls\");"}) {
    EXPECT_TRUE(makes_a_process(line)) << line;
  }
  for (const char* line :
       {"if (strlen(system('ls')) > 0)", "// fork() is not called", "text = \"fork()\";",
        "queue.system(x);", "file_system(path)", "execute(job);", "job->fork();"}) {
    EXPECT_FALSE(makes_a_process(line)) << line;
  }
}

}  // namespace
}  // namespace tarflow::habits
