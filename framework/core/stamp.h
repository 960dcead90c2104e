// Whether a file is as it was, without reading it.
#pragma once

#include <filesystem>
#include <string>

namespace tarflow {

struct FileStamp {
  // Size, times of the last write and the last change (ctime, which no program can set) and inode.
  // "" if there is no regular file. Not the device: the same network file system has another number
  // on each host.
  std::string text;
  // File systems keep times coarsely: a file that changed a moment ago can change again and keep
  // its stamp. Equal stamps mean equal content only if the stamp is settled.
  bool settled = false;
};

// Links are followed.
FileStamp file_stamp(const std::filesystem::path& file);

}  // namespace tarflow
