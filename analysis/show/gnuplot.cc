#include "analysis/show/gnuplot.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "framework/core/cores.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/process/process.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{5};

// Starts `gnuplot NAME.gp` in `folder`, in a group of its own, so that it can be ended with its
// children; what it says goes to NAME.log.
pid_t start(const fs::path& gnuplot, const fs::path& folder, const std::string& name) {
  process::require_program(gnuplot.string());
  return process::spawn({.command = {gnuplot.string(), name + ".gp"}, .folder = folder},
                        folder / (name + ".log"), process::Log::kReplaced);
}

// gnuplot's own words for what went wrong: the line with its message.
std::string reason(const fs::path& log) {
  std::istringstream lines(read_file(log));
  std::string last = "it said nothing";
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t^") != std::string::npos) last = line;
  }
  return last;
}

bool drawn(const fs::path& folder, const std::string& name) {
  std::error_code ignored;
  return fs::file_size(folder / (name + ".svg"), ignored) > 0 && !ignored &&
         fs::file_size(folder / (name + ".png"), ignored) > 0 && !ignored;
}

void remove_earlier(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    static const std::set<std::string> kOwn = {".gp", ".dat", ".svg", ".png", ".log"};
    if (entry.path().filename() != "own.gp" && kOwn.contains(entry.path().extension()))
      fs::remove(entry.path(), ignored);
  }
}

}  // namespace

fs::path find_gnuplot() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path program = fs::path(folder.empty() ? "." : folder) / "gnuplot";
    if (::access(program.c_str(), X_OK) == 0) return fs::absolute(program);
  }
  return {};
}

std::vector<std::string> write_plots(const std::vector<Plot>& plots, const fs::path& folder) {
  remove_earlier(folder);
  std::vector<std::string> problems;
  const auto write = [&](const fs::path& file, const std::string& text) {
    try {
      write_file(file, text);
    } catch (const Error& error) {
      problems.push_back(error.what());
    }
  };
  if (!plots.empty()) write(folder / "style.gp", plot_style());
  for (const Plot& plot : plots) {
    write(folder / (plot.name + ".gp"), plot_script(plot));
    write(folder / (plot.name + ".dat"), plot.data);
  }
  return problems;
}

std::vector<std::string> draw_plots(const std::vector<Plot>& plots, const fs::path& folder,
                                    const fs::path& gnuplot, std::chrono::milliseconds limit) {
  std::vector<std::string> problems;
  struct Drawing {
    std::string name;
    Clock::time_point end;
  };
  std::map<pid_t, Drawing> running;
  const auto at_once = static_cast<size_t>(usable_cores());
  const auto finish_one = [&] {
    for (;; std::this_thread::sleep_for(kTick)) {
      for (auto& [drawer, drawing] : running) {
        int status = 0;
        const pid_t ended = process::wait_for_child(drawer, status, WNOHANG);
        if (ended == 0 && Clock::now() < drawing.end) continue;
        if (ended == 0) {
          process::signal_group(drawer, SIGKILL);
          problems.push_back(fmt::format("{}: gnuplot did not end within {} s",
                                         (folder / (drawing.name + ".gp")).string(),
                                         limit.count() / 1000.0));
          process::wait_for_child(drawer, status, 0);
        } else if (status == 0 && drawn(folder, drawing.name)) {
          std::error_code ignored;
          fs::remove(folder / (drawing.name + ".log"), ignored);
        } else {
          problems.push_back(fmt::format("{}: gnuplot could not draw it: {}",
                                         (folder / (drawing.name + ".gp")).string(),
                                         reason(folder / (drawing.name + ".log"))));
        }
        running.erase(running.find(drawer));
        return;
      }
    }
  };
  for (const Plot& plot : plots) {
    while (running.size() >= at_once) finish_one();
    try {
      running[start(gnuplot, folder, plot.name)] = {plot.name, Clock::now() + limit};
    } catch (const Error& failure) {  // the next could not be started either
      problems.push_back(failure.what());
      break;
    }
  }
  while (!running.empty()) finish_one();
  return problems;
}

}  // namespace tarflow::analysis
