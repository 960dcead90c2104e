// What tells a TarFlow from other models. For this room alone.
#pragma once

namespace tarflow::checkpoint {

inline constexpr const char* kProbe = "blocks.0.proj_in.weight";  // every TarFlow has it
inline constexpr const char* kProbeBelow = ".blocks.0.proj_in.weight";
inline constexpr const char* kNotTarflow =
    "name a checkpoint of a TarFlow model, as torch.save(model.state_dict()) writes it";

}  // namespace tarflow::checkpoint
