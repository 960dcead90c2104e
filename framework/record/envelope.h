// The user block of a record's file: version, length and SHA-256 of the HDF5 part, checked before
// HDF5, whose library is not made for damaged files, reads any of it.
#pragma once

#include <filesystem>
#include <string>

namespace tarflow::record {

inline constexpr size_t kEnvelopeBytes = 512;  // the smallest user block HDF5 allows

// Fills the user block of a closed HDF5 file that was made with one. Throws Error.
void seal(const std::filesystem::path& file);

// Checks the whole file; returns the SHA-256 of the HDF5 part. Throws Error naming the file when it
// is not a record, is of a newer version, or was cut short or changed after it was written.
std::string verify_envelope(const std::filesystem::path& file);

}  // namespace tarflow::record
