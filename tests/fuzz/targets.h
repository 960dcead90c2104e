// What the fuzzers feed with bytes, and what the test of seeds and findings feeds with files. A
// target returns when the bytes are read and when they are refused with an Error; a crash, another
// exception or a Fault is a finding.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tarflow::fuzz {

// A sweep file. Lines `#set KEY=VALUE` and `#only KEY=VALUE` are given as options as well, and what
// follows a line
// `#file NAME` (small letters and dots) is another file in the same folder.
void yaml(std::string_view bytes);
// A zip checkpoint, or a pickle alone, which is put into a checkpoint with a few storages.
void pth(std::string_view bytes);
void legacy_pth(std::string_view bytes);
// A safetensors file, or its header alone, which is put before 128 bytes of tensors.
void safetensors(std::string_view bytes);
// An .npz with arrays or statistics, or an .npy alone.
void npz(std::string_view bytes);
// A JPEG or PNG; a PNG is also read with its checksums repaired.
void images(std::string_view bytes);
// An HDF5 file of a user or a record, whose checksum is repaired.
void hdf5(std::string_view bytes);

// Thrown when something does not hold that must.
class Fault : public std::logic_error {
  using std::logic_error::logic_error;
};
inline void must(bool holds, const std::string& what) {
  if (!holds) throw Fault(what);
}

// A folder that is removed at the end: in $TMPDIR, else in memory where the system offers that.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path put(const std::string& name, std::string_view bytes) const;

 private:
  std::filesystem::path path_;
};

}  // namespace tarflow::fuzz
