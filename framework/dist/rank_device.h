// The device of a rank.
#pragma once

#include <string>

#include "framework/dist/rank_environment.h"

namespace tarflow::dist {

// What `device`, a setting of a job, means for one of its ranks on a host with so many visible
// GPUs: "auto", "cpu" or "cuda:N" as one process takes it. A rank that sees one GPU uses that, one
// that sees several uses the one with its local rank. Throws Error where there are too few, and for
// a GPU of a number when there are several ranks.
std::string rank_device(const std::string& device, const RankPlace& place, int gpus);

}  // namespace tarflow::dist
