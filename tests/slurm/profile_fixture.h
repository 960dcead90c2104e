// Cluster profiles that a test writes.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/slurm/cluster_profile_file.h"
#include "tests/support/house.h"

namespace tarflow::slurm {

class WrittenProfiles : public ::testing::Test {
 protected:
  ClusterProfile read(const std::string& text) {
    write_file(house_ / file_, text);
    return read_profile(house_ / file_);
  }
  // What is wrong with it; "" for a good one.
  std::string complaint(const std::string& text) {
    try {
      read(text);
    } catch (const Error& failure) {
      return failure.what();
    }
    return "";
  }

  Scratch house_;
  std::string file_ = "cluster.yaml";
};

}  // namespace tarflow::slurm
