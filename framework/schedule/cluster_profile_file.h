// Cluster profiles as files: clusters/NAME.yaml and cluster.yaml of the user's folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "framework/schedule/cluster_profile.h"

namespace tarflow::schedule {

// A profile's file as values. Throws Error with everything that is wrong in it, each with its
// place.
ClusterProfile read_profile(const std::filesystem::path& file);

struct ProfileFolders {
  std::filesystem::path config;   // of the user; "": none is looked into
  std::filesystem::path shipped;  // the profiles that come with the program
};

// What --cluster asks for: "none" for this machine, NAME of a profile in clusters/ of either
// folder, a file, or "" for what the user's cluster.yaml says, this machine without one. Throws
// Error.
ClusterProfile find_profile(const std::string& wanted, const ProfileFolders& folders);

// $XDG_CONFIG_HOME/tarflow, else ~/.config/tarflow; "" where neither is known.
std::filesystem::path config_folder();

// A key of a profile, for help.
struct ProfileKey {
  const char* name;
  const char* description;
};
const std::vector<ProfileKey>& profile_keys();

}  // namespace tarflow::schedule
