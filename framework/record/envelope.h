// The user block of a record's file: version, length and SHA-256 of the HDF5 part, checked before
// HDF5, whose library is not made for damaged files, reads any of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace tarflow::record {

inline constexpr size_t kEnvelopeBytes = 512;  // the smallest user block HDF5 allows

struct Envelope {
  int version = 0;
  uint64_t bytes = 0;  // of the HDF5 part
  std::string sha256;  // of the HDF5 part
  std::string merged;  // of what a sweep's file was merged from; "" in jobs' files and version 1
};

// Fills the user block of a closed HDF5 file that was made with one. Throws Error.
void seal(const std::filesystem::path& file, const std::string& merged = "");

// Reads the user block alone. Throws NotRead (fault.h) naming the file when it is not a record, is
// of a newer version, has not the length it had when it was written, or when the block itself was
// changed.
// Bytes changed behind the block are not found.
Envelope read_envelope(const std::filesystem::path& file);
// Reads and checks the whole file. Throws NotRead.
Envelope verify_envelope(const std::filesystem::path& file);

}  // namespace tarflow::record
