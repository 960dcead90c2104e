// Where programs find the files that come with them.
#pragma once

#include <filesystem>

namespace tarflow {

// The folder with experiments.json, published.yaml and sweeps/ that belongs to programs in
// `programs`: ../share/tarflow where they are installed, ../share in a build folder. Need not
// exist.
std::filesystem::path share_folder(const std::filesystem::path& programs);

// The folder of the program that runs.
std::filesystem::path program_folder();

// $TARFLOW_SITE, else /etc/tarflow: what the administrator of a site keeps for all its users,
// cluster profiles and models. /etc/tarflow need not exist. Throws Error where $TARFLOW_SITE is set
// and is no folder.
std::filesystem::path site_folder();

}  // namespace tarflow
