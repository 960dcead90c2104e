#include "framework/job/worker_variables.h"

#include <cstdlib>

namespace tarflow::job {

void show_gpus(const std::string& devices, bool numbered,
               std::map<std::string, std::string>& variables) {
  variables["CUDA_VISIBLE_DEVICES"] = devices;
  // The user's own numbers go by the user's own order.
  if (numbered) variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
}

// By default threads spin for a millisecond. On a machine that does something else as well, each
// such wait would cost the time slice of whom they wait for.
void wait_briefly(std::map<std::string, std::string>& variables) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  variables["GOMP_SPINCOUNT"] = "20000";
}

}  // namespace tarflow::job
