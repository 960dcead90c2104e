// Ranks that find each other.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <memory>

#include "framework/dist/communicator.h"
#include "framework/dist/rank_environment.h"

namespace tarflow::dist {

struct Limits {
  std::chrono::milliseconds silence{15000};       // without a sign of life a rank is given up
  std::chrono::milliseconds collective{1800000};  // all ranks have to come to a call within
  std::chrono::milliseconds connect{300000};      // all ranks have to be there within
};

// Waits until all ranks are there; one process when place.size is 1. Tensors of CUDA devices go
// through NCCL, which needs every rank to have a `device` of its own. Throws Error that names what
// is missing: ranks, the address, the port.
std::unique_ptr<Communicator> connect(const RankPlace& place, const at::Device& device,
                                      const Limits& limits = {});

}  // namespace tarflow::dist
