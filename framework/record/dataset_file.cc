#include "framework/record/dataset_file.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>

#include "framework/core/file.h"
#include "framework/core/file_kind.h"
#include "framework/process/pipe.h"
#include "framework/process/process.h"
#include "framework/record/array.h"
#include "framework/record/hdf5.h"

namespace tarflow::record {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // elements; what a user's dataset may claim

// The type a dataset of this type is read as.
ArrayType read_type(hid_t type, const std::string& what) {
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return H5Tget_size(type) <= 4 ? ArrayType::kFloat32 : ArrayType::kFloat64;
    case H5T_INTEGER:
      return ArrayType::kInt64;
    default:
      throw Error(what + ": it does not hold numbers");
  }
}

hid_t memory_type(ArrayType type) {
  if (type == ArrayType::kFloat32) return H5T_NATIVE_FLOAT;
  return type == ArrayType::kFloat64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
}

// H5Lexists wants every group on the way to exist.
bool link_exists(hid_t file, const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (H5Lexists(file, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(file, path.c_str(), H5P_DEFAULT) > 0;
}

// What the process that reads sends back, in this order: kind and, of an array, type and shape,
// then the data; of an error, its words and the repair; of a text, the text.
enum class Reply : char { kArray = 'a', kError = 'e', kText = 't' };

class Sender {
 public:
  explicit Sender(int descriptor) : descriptor_(descriptor) {}
  void bytes(const void* data, size_t count) const {
    const char* at = static_cast<const char*>(data);
    while (count > 0) {
      const ssize_t sent = ::write(descriptor_, at, count);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) ::_exit(1);  // nobody listens any more
      at += sent;
      count -= static_cast<size_t>(sent);
    }
  }
  template <typename Number>
  void number(Number value) const {
    bytes(&value, sizeof value);
  }
  void text(const std::string& text) const {
    number(text.size());
    bytes(text.data(), text.size());
  }

 private:
  int descriptor_;
};

class Receiver {
 public:
  Receiver(int descriptor, std::string what) : descriptor_(descriptor), what_(std::move(what)) {}
  void bytes(void* data, size_t count) const {
    char* at = static_cast<char*>(data);
    while (count > 0) {
      const ssize_t received = ::read(descriptor_, at, count);
      if (received < 0 && errno == EINTR) continue;
      if (received <= 0) fail();
      at += received;
      count -= static_cast<size_t>(received);
    }
  }
  template <typename Number>
  Number number() const {
    Number value{};
    bytes(&value, sizeof value);
    return value;
  }
  // Of what follows; bounded, since damage may have reached what sends it.
  size_t size() const {
    const auto count = number<size_t>();
    if (count > 8 * static_cast<size_t>(kLargest)) fail();
    return count;
  }
  std::string text() const {
    std::string text(size(), '\0');
    bytes(text.data(), text.size());
    return text;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(what_ + ": HDF5 failed over it, as it does over damaged files",
                "write the file again; `h5dump FILE` shows whether other programs can read it");
  }

  int descriptor_;
  std::string what_;
};

// Bytes of address space that this process has.
rlim_t address_space() {
  std::ifstream in("/proc/self/statm");
  rlim_t pages = 0;
  in >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

// Bounds for files over which HDF5 never ends or that claim much more than they hold.
void limit_this_process(const std::filesystem::path& file) {
  for (const int signal : {SIGTERM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    ::signal(signal, SIG_DFL);
  }
  std::error_code unknown;
  const uintmax_t size = std::filesystem::file_size(file, unknown);
  const rlim_t bytes = unknown ? 0 : std::min<rlim_t>(size, rlim_t{1} << 36);
  const rlim_t seconds = 30 + bytes / 10'000'000;
  const rlim_t memory = address_space() + (rlim_t{1} << 28) + 1024 * bytes;
  const rlimit time{seconds, seconds}, space{memory, memory}, no_core{0, 0};
  ::setrlimit(RLIMIT_CPU, &time);
  ::setrlimit(RLIMIT_AS, &space);
  ::setrlimit(RLIMIT_CORE, &no_core);
}

// Calls `read` in a process of its own and `receive` with what that sends. HDF5's library is not
// made for damaged files: some crash it, some keep it busy for ever. Records are safe from that by
// their checksum; files of users have none, so that the process which reads them is all they can
// harm.
template <typename Read, typename Receive>
auto apart(const std::filesystem::path& file, const std::string& what, const Read& read,
           const Receive& receive) {
  if (const ContentKind kind = kind_of_file(file); !kind.name.empty() && kind.name != kHdf5Kind)
    throw wrong_kind(file, "HDF5", "name an HDF5 file");
  process::Pipe pipe;
  const pid_t child = process::run_aside([&] {
    process::Pipe::close_end(pipe.read);
    limit_this_process(file);
    const Sender sender(pipe.write);
    try {
      read(sender);
    } catch (const Error& error) {
      const Problem& problem = error.problems().front();
      const bool named = problem.what.find(file.string()) != std::string::npos;
      sender.number(Reply::kError);
      sender.text(named ? problem.what : fmt::format("{}: {}", what, problem.what));
      sender.text(problem.repair);
    }  // others, of which no memory for what the file claims is one, end it without a word
  });
  process::Pipe::close_end(pipe.write);
  // Ends the process, whether it has sent all or `receive` has thrown.
  struct End {
    pid_t child;
    ~End() {
      int status = 0;
      ::kill(child, SIGKILL);
      process::wait_for_child(child, status, 0);
    }
  } const end{child};
  return receive(Receiver(pipe.read, what));
}

// Throws what the other process could not read.
void expect(Reply kind, const Receiver& receiver) {
  const auto received = receiver.number<Reply>();
  if (received == kind) return;
  const std::string what = receiver.text();
  throw Error(what, receiver.text());
}

Array read_here(const std::filesystem::path& path, const std::string& dataset,
                const std::string& what) {
  const QuietHdf5 quiet;
  const Handle file = open_file(path);
  if (!link_exists(file, dataset)) {
    throw Error(fmt::format("{} has no dataset `{}`", path.string(), dataset),
                did_you_mean(dataset, member_names(file)));
  }
  const Handle data = own(H5Dopen2(file, dataset.c_str(), H5P_DEFAULT), H5Dclose, what);
  const Handle type = own(H5Dget_type(data), H5Tclose, what);
  Array array;
  array.path = dataset;
  array.type = read_type(type, what);
  array.shape = shape_of(data);
  int64_t count = 1;
  for (const int64_t size : array.shape) {
    if (size < 0 || size > kLargest || count * size > kLargest)
      throw Error(what + ": it is too large");
    count *= size;
  }
  // A file may claim far more than it holds; what is not stored is not worth reading.
  const uintmax_t stored =
      std::min<uintmax_t>(H5Dget_storage_size(data), std::filesystem::file_size(path));
  if (static_cast<hsize_t>(count) * H5Tget_size(type) > 64 * (stored + 1)) {
    throw Error(what + ": it claims more than it holds");
  }
  array.data.resize(static_cast<size_t>(count) * element_bytes(array.type));
  if (count > 0) {
    check(H5Dread(data, memory_type(array.type), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.data.data()),
          what);
  }
  return array;
}

}  // namespace

Array read_dataset(const std::filesystem::path& path, const std::string& dataset) {
  const std::string what =
      fmt::format("cannot read the dataset `{}` of {}", dataset, path.string());
  const auto read = [&](const Sender& sender) {
    const Array array = read_here(path, dataset, what);
    sender.number(Reply::kArray);
    sender.number(array.type);
    sender.number(array.shape.size());
    sender.bytes(array.shape.data(), array.shape.size() * sizeof(int64_t));
    sender.number(array.data.size());
    sender.bytes(array.data.data(), array.data.size());
  };
  return apart(path, what, read, [&](const Receiver& receiver) {
    expect(Reply::kArray, receiver);
    Array array;
    array.path = dataset;
    array.type = receiver.number<ArrayType>();
    array.shape.resize(receiver.size());
    receiver.bytes(array.shape.data(), array.shape.size() * sizeof(int64_t));
    array.data.resize(receiver.size());
    receiver.bytes(array.data.data(), array.data.size());
    return array;
  });
}

void write_datasets(const std::filesystem::path& path, const std::vector<Array>& arrays,
                    const std::map<std::string, std::string>& attributes) {
  const QuietHdf5 quiet;
  std::vector<Array> sorted = arrays;
  std::sort(sorted.begin(), sorted.end(),
            [](const Array& a, const Array& b) { return a.path < b.path; });
  for (const Array& array : sorted) check_array(array);
  write_aside(path, [&](const std::filesystem::path& aside) {
    const std::string what = fmt::format("cannot write {}", path.string());
    const Handle creation = timeless(H5P_FILE_CREATE);
    const Handle file =
        own(H5Fcreate(aside.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT), H5Fclose, what);
    write_arrays(file, sorted);
    for (const auto& [name, text] : attributes) write_attribute(file, name, text);
  });
}

std::string read_root_attribute(const std::filesystem::path& path, const std::string& name) {
  const auto read = [&](const Sender& sender) {
    const QuietHdf5 quiet;
    const Handle file = open_file(path);
    const std::string text =
        H5Aexists(file, name.c_str()) > 0 ? read_text_attribute(file, name) : "";
    sender.number(Reply::kText);
    sender.text(text);
  };
  const std::string what = fmt::format("cannot read the attribute `{}` of {}", name, path.string());
  return apart(path, what, read, [](const Receiver& receiver) {
    expect(Reply::kText, receiver);
    return receiver.text();
  });
}

}  // namespace tarflow::record
