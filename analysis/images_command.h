// analyze images: the images that a record holds, in files.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

namespace tarflow::analysis {

struct ImagesOptions {
  std::vector<std::filesystem::path> files;  // merged sweep files
  std::string point;                         // its id or the beginning of it; "": the only one
  std::filesystem::path to;                  // a new folder, or an .npz; "": list the points
};

// Writes the images of one point, or lists the points that have some. The finite images are
// truncated to 8 bits as distances see them; labels are beside them. Throws Error. Returns the
// exit status: 1 where a file cannot be read.
int write_images(const ImagesOptions& options, std::ostream& out, std::ostream& err);

}  // namespace tarflow::analysis
