#include <dlfcn.h>
#include <execinfo.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <new>
#include <stdexcept>

#include "framework/core/error.h"
#include "framework/record/dataset_file.h"
#include "framework/record/envelope.h"
#include "framework/record/record.h"
#include "tests/fuzz/targets.h"

#if defined(__SANITIZE_ADDRESS__) || defined(TARFLOW_FUZZ)
#include <sanitizer/asan_interface.h>
#define TARFLOW_HAVE_SANITIZER
#endif

namespace tarflow::fuzz {
namespace {

constexpr std::string_view kRecord = "tarflow record ";
constexpr unsigned kSeconds = 20;
constexpr rlim_t kMemory = rlim_t{1} << 28;  // bytes
enum Ending { kFine = 0, kLibrary = 0, kOurs = 77, kWrong = 78 };

template <typename Body>
void refuse_or_read(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    must(!error.problems().empty() && *error.what() != '\0', "an error says nothing");
  }
}

// A record is only read when its checksum fits, so damage never reaches HDF5, whose library is not
// made for it. With the checksum repaired it does, and the library may crash: that is none of our
// findings, ours is what else crashes.
bool in_library() {
  void* frames[64];
  const int count = ::backtrace(frames, 64);
  for (int i = 0; i < count; ++i) {
    Dl_info info;
    if (::dladdr(frames[i], &info) != 0 && info.dli_fname && std::strstr(info.dli_fname, "libhdf5"))
      return true;
  }
  return false;
}

// A file may claim more than there is memory for.
bool out_of_memory() {
#ifdef TARFLOW_HAVE_SANITIZER
  const std::string_view report = __asan_get_report_description();
  return report == "out-of-memory" || report == "allocation-size-too-big";
#else
  return false;
#endif
}

void end() { ::_exit(in_library() || out_of_memory() ? kLibrary : kOurs); }
void end_on_signal(int) { end(); }

[[noreturn]] void read_record(const std::filesystem::path& file) {
#ifdef TARFLOW_HAVE_SANITIZER
  __sanitizer_set_death_callback(end);
#endif
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction action = {};
    action.sa_handler = end_on_signal;
    action.sa_flags = static_cast<int>(SA_NODEFER | SA_RESETHAND | SA_ONSTACK);
    ::sigaction(signal, &action, nullptr);
  }
  ::alarm(kSeconds);  // which ends it, also when its last words never end
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + kMemory;
  const rlimit memory{bytes, bytes};
  ::setrlimit(RLIMIT_AS, &memory);
  try {
    refuse_or_read([&] { record::digest(record::read_sweep(file)); });
    refuse_or_read([&] { record::read_job(file); });
    ::_exit(kFine);
  } catch (const std::bad_alloc&) {
    ::_exit(kFine);
  } catch (const std::length_error&) {
    ::_exit(kFine);
  } catch (...) {
    ::_exit(kWrong);
  }
}

void record_file(const std::filesystem::path& file) {
  record::seal(file);
  const std::string checksum = record::verify(file);
  must(checksum.size() == 64, "a sealed record has no checksum");
  void* warm[1];
  ::backtrace(warm, 1);  // loads what it needs before anything is broken
  const pid_t child = ::fork();
  if (child == 0) read_record(file);
  must(child > 0, "no process could be started");
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);  // libFuzzer's own timer interrupts it
  must(ended == child, "a process was lost");
  must(!WIFEXITED(status) || WEXITSTATUS(status) != kOurs,
       "reading a record crashed outside of HDF5");
  must(!WIFEXITED(status) || WEXITSTATUS(status) != kWrong,
       "reading a record threw what is no Error");
}

void dataset_file(const std::filesystem::path& file) {
  for (const char* name : {"noise", "group/labels"}) {
    refuse_or_read([&] {
      const record::Array array = record::read_dataset(file, name);
      must(record::to_doubles(array).size() <= array.data.size(), "a dataset has a wrong size");
    });
  }
  refuse_or_read([&] { record::read_root_attribute(file, "extractor"); });
}

}  // namespace

void hdf5(std::string_view bytes) {
  static const ScratchFolder folder;
  const std::filesystem::path path = folder.put("fuzz.h5", bytes);
  refuse_or_read([&] { record::verify(path); });
  static const herr_t started = H5open();  // once, not in every process that reads
  must(started >= 0, "HDF5 does not start");
  if (bytes.starts_with(kRecord) && bytes.size() > record::kEnvelopeBytes) {
    record_file(path);
  } else {
    dataset_file(path);
  }
}

}  // namespace tarflow::fuzz
