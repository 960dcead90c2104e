// Cluster profiles as files: clusters/NAME.yaml and cluster.yaml of the user's folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/slurm/cluster_profile.h"

namespace tarflow::slurm {

// A profile's file as values. Throws Error with everything that is wrong in it, each with its
// place.
ClusterProfile read_profile(const std::filesystem::path& file);

struct ProfileFolders {
  std::filesystem::path config;     // of the user; "": none is looked into
  std::filesystem::path shipped;    // the profiles that come with the program
  std::filesystem::path site = {};  // of all users of the site; "": none is looked into
};

// What --cluster asks for: "none" for this machine, NAME of a profile in clusters/ of the user, of
// the site or as shipped, a file, or "" for what cluster.yaml of the user or the site says, this
// machine without one. Throws Error.
ClusterProfile find_profile(const std::string& wanted, const ProfileFolders& folders);

// The file that find_profile() reads for it; nothing for this machine without one. Throws Error.
std::optional<std::filesystem::path> find_profile_file(const std::string& wanted,
                                                       const ProfileFolders& folders);

// The name of the shipped example that the profile equals in everything but its name; "" when it is
// none of them. Its partition and account are then likely not those of the cluster at hand.
std::string example_of(const ClusterProfile& profile, const std::filesystem::path& shipped);

// Seconds of "12:30:00", "2-00:00:00" and "90:00" (minutes), as Slurm writes times; nothing when it
// is none.
std::optional<double> slurm_time(std::string text);

// $XDG_CONFIG_HOME/tarflow, else ~/.config/tarflow; "" where neither is known.
std::filesystem::path config_folder();

// A key of a profile, for help.
struct ProfileKey {
  const char* name;
  const char* description;
};
const std::vector<ProfileKey>& profile_keys();

}  // namespace tarflow::slurm
