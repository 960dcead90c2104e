// Variables of the environment of a worker that computes beside others on one machine.
#pragma once

#include <map>
#include <string>

namespace tarflow::job {

// The worker sees these GPUs alone: `devices` as CUDA_VISIBLE_DEVICES has them, "" for none.
// `numbered`: see VisibleGpus.
void show_gpus(const std::string& devices, bool numbered,
               std::map<std::string, std::string>& variables);

// Its threads soon give up their cores where they wait for each other, unless the user's own
// variables say how they wait.
void wait_briefly(std::map<std::string, std::string>& variables);

}  // namespace tarflow::job
