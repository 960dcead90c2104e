// Files written so that a crash or a full disk never leaves half of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tarflow {

// The whole file. Throws Error naming it.
std::string read_file(const std::filesystem::path& path);

// Calls `write` with a temporary path beside `path`, then fsync and rename. When `write` throws,
// the temporary file is removed and nothing changes. Throws Error when the file system refuses.
void write_aside(const std::filesystem::path& path,
                 const std::function<void(const std::filesystem::path&)>& write);
// That path: what a process leaves behind when it is killed meanwhile.
std::filesystem::path aside_of(const std::filesystem::path& path, int64_t process);
void write_file(const std::filesystem::path& path, std::string_view content);

// Many files of one folder, by name and content. Each is written as by write_file, and the folder
// is synced once for all of them. A failure may leave some of the files, each of them whole.
void write_files(const std::filesystem::path& folder,
                 const std::vector<std::pair<std::string, std::string>>& files);

}  // namespace tarflow
