// The communicator of several processes: small things through the store, tensors of GPUs by NCCL.
#pragma once

#include <memory>
#include <optional>

#include "framework/dist/connect.h"
#include "framework/dist/store_link.h"

namespace tarflow::dist {

// Three connections to one store: for what the ranks tell each other, for signs of life, and, with
// GPUs, for NCCL. Throws Error that names the ranks that do not come.
std::unique_ptr<Communicator> store_communicator(const RankPlace& place, const at::Device& device,
                                                 const Limits& limits, StoreLink link,
                                                 StoreLink beats, std::optional<StoreLink> nccl);

}  // namespace tarflow::dist
