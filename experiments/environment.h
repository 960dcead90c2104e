// Where and with what a job ran; kept with its results and left out of their identity.
#pragma once

#include "framework/core/json.h"

namespace tarflow::experiments {

// Host, threads, versions of the program and of LibTorch, CUDA and the driver where there are any.
Json environment();

}  // namespace tarflow::experiments
