// Arguments as other programs take them, each answered with the line that does it here.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tarflow::driver {

// `arguments`: those after the program's name. `options`: the names that run_sweep has, as "--set".
// Throws Error for another option: --resume, --overwrite, --cfg 1. Words that are the value of an
// option before them are left alone.
void require_own_options(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& options);

// `files`: the sweep files among the arguments. Throws Error for `cfg=1`, which is no file but a
// selection, and for a file that is absent where one of a similar name is there (demo.yml, demo).
void require_sweep_files(const std::vector<std::string>& arguments,
                         const std::vector<std::filesystem::path>& files);

}  // namespace tarflow::driver
