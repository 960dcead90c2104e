#include "framework/dist/rank_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.h"

namespace tarflow::dist {

std::string rank_device(const std::string& device, const RankPlace& place, int gpus) {
  if (place.size == 1 || device == "cpu" || (device == "auto" && gpus == 0)) return device;
  if (device.starts_with("cuda:")) {
    throw Error(fmt::format("`device: {}` is one GPU, and there are {} ranks", device, place.size),
                "state `device: cuda` or `auto`: each rank takes a GPU of its own");
  }
  if (device != "auto" && device != "cuda") return device;  // is refused as in one process
  if (gpus == 1) return "cuda:0";
  if (place.local_rank < gpus) return fmt::format("cuda:{}", place.local_rank);
  throw Error(fmt::format("there are {} ranks on this host and {} GPUs",
                          std::max(place.local_size, place.local_rank + 1), gpus),
              "start as many ranks as there are GPUs, one a GPU; `device: cpu` needs none");
}

}  // namespace tarflow::dist
